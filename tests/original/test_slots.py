"""Held against diffusers' own conversion of single files, on the published architectures without a byte of memory."""

import functools

import pytest
import torch
from diffusers.loaders import single_file_utils as diffusers_own
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from pipeline.original import kinds, slots
from pipeline.original.slots import Slot

PARTS = [(kind, part) for kind in kinds.KINDS for part in ("unet", "vae", *kind.texts)]


@functools.cache
def made(number):
    kind, part = PARTS[number]
    return slots.of_part(kind, part, kind.published[part])


def of(kind, part):
    return made(PARTS.index((kind, part)))


def empty(found):
    """What a file has in the slots, on the meta device, each value telling by its shape alone what it is."""
    made = {}
    for slot in found:
        values = {name: torch.empty(slot.shape, device="meta") for name in slot.names}
        made[slot.original] = slot.together(values)
    return made


def theirs(kind, part, file):
    """Shapes of the parameters that diffusers makes of a file."""
    config = kind.published[part]
    if part == "unet":
        return diffusers_own.convert_ldm_unet_checkpoint(file, config)
    if part == "vae":
        return diffusers_own.convert_ldm_vae_checkpoint(file, config)
    start, opened = kind.texts[part]
    if not opened:
        return diffusers_own.convert_ldm_clip_checkpoint(file)
    with torch.device("meta"):
        model = CLIPTextModelWithProjection(CLIPTextConfig(**config))
    return diffusers_own.convert_open_clip_checkpoint(model, file, prefix=start)


@pytest.mark.parametrize(("kind", "part"), PARTS, ids=lambda one: getattr(one, "name", one))
def test_diffusers_finds_every_parameter_of_the_published_architectures(kind, part):
    found = of(kind, part)
    wanted = {name: slot.shape for slot in found for name in slot.names}
    assert {name: tuple(value.shape) for name, value in theirs(kind, part, empty(found)).items()} == wanted
    assert len({slot.original for slot in found}) == len(found)


def test_a_slot_comes_apart_into_what_was_put_together():
    three = Slot("qkv", ("q", "k", "v"), (2, 2))
    turned = Slot("projection", ("p",), (2, 3), turned=True)
    square = Slot("attention", ("a",), (2, 2), square=True)
    for slot, shape in ((three, (6, 2)), (turned, (3, 2)), (square, (2, 2, 1, 1))):
        values = {name: torch.randn(slot.shape) for name in slot.names}
        one = slot.together(values)
        assert tuple(one.shape) == shape
        assert slot.fits(shape)
        assert not slot.fits((*shape[:-1], shape[-1] + 1))
        back = slot.apart(one)
        assert back.keys() == values.keys()
        assert all(torch.equal(back[name], value) for name, value in values.items())


def test_published_sizes_have_the_number_of_parameters_that_is_told_of_them():
    counted = {
        (kind.name, part): sum(torch.Size(slot.shape).numel() * len(slot.names) for slot in of(kind, part))
        for kind, part in PARTS
    }
    # each of Stability AI's and Runway's model cards: 860 M, 865 M and 2.6 B in the UNet
    assert {kind: counted[kind, "unet"] for kind in ("sd1", "sd2", "sdxl")} == {
        "sd1": 859_520_964,
        "sd2": 865_910_724,
        "sdxl": 2_567_463_684,
    }
    assert counted["sd1", "vae"] == counted["sdxl", "vae"] == 83_653_863
