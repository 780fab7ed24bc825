import shutil

import pytest
import torch

from pipeline.errors import InputError, ModelError
from pipeline.interchange import extract, merge
from pipeline.original import parts


@pytest.fixture(scope="module")
def tuned(base, tmp_path_factory):
    """The base model in float32, and one of which every matrix of UNet and texts changed, by rank 3 where it has it."""
    place = tmp_path_factory.mktemp("tuned")
    draws = torch.Generator().manual_seed(0)
    for target in ("before", "after"):
        shutil.copytree(base, place / target)
    for part in parts.of(base):
        with parts.weights(base, part) as values:
            before = {name: value.float() for name, value in values.items()}
        after = dict(before)
        for name, value in before.items():
            if part != "vae" and value.ndim in (2, 4) and ".embeddings." not in name:
                flat = value.flatten(1)
                up = torch.randn(len(flat), 3, generator=draws)
                change = up @ torch.randn(3, flat.shape[1], generator=draws)
                after[name] = value + 0.05 * change.view_as(value)
        for target, tensors in (("before", before), ("after", after)):
            parts.write(place / target, part, tensors)
    return place / "before", place / "after"


def distance(one, other, part="unet"):
    with parts.weights(one, part) as a, parts.weights(other, part) as b:
        return max(float((b[name] - value).abs().max()) for name, value in a.items())


def test_at_full_rank_the_change_comes_back(tuned, tmp_path):
    before, after = tuned
    made = extract.extract(before, after)
    assert made.kept == pytest.approx(1.0, abs=1e-6)
    assert made.left == ()
    merge.write(before, made.adapter, tmp_path / "again")
    for part in ("unet", "text_encoder"):
        assert distance(before, after, part) > 0.1
        assert distance(tmp_path / "again", after, part) < 1e-4


def test_the_rank_that_was_planted_is_enough_and_less_is_not(tuned):
    before, after = tuned
    assert max(one.rank for one in extract.extract(before, after, rank=3).adapter.all) == 3
    assert extract.extract(before, after, rank=3).kept == pytest.approx(1.0, abs=1e-5)
    less = extract.extract(before, after, rank=1)
    assert 0.3 < less.kept < 0.95
    assert {one.rank for one in less.adapter.all} == {1}


def test_each_layer_keeps_the_share_that_was_asked_for_by_the_least_rank(tuned):
    before, after = tuned
    made = extract.extract(before, after, energy=0.8)
    with parts.weights(before, "unet") as one, parts.weights(after, "unet") as other:
        for name, layer in made.adapter.layers["unet"].items():
            change = other[f"{name}.weight"] - one[f"{name}.weight"]
            values = torch.linalg.svdvals(change.flatten(1)).square()
            share = values.cumsum(0) / values.sum()
            assert share[layer.rank - 1] >= 0.8 - 1e-5
            assert layer.rank == 1 or share[layer.rank - 2] < 0.8
            lost = (change - layer.update()).square().sum() / change.square().sum()
            assert float(lost) == pytest.approx(1 - float(share[layer.rank - 1]), abs=1e-4)


def test_what_a_lora_cannot_hold_is_told(tuned, tmp_path):
    before, after = tuned
    other = shutil.copytree(after, tmp_path / "other")
    with parts.weights(after, "unet") as values:
        tensors = dict(values)
    tensors["conv_in.bias"] = tensors["conv_in.bias"] + 100
    parts.write(other, "unet", tensors)
    made = extract.extract(before, other, rank=3)
    assert made.left == ("unet.conv_in.bias",)
    assert made.kept < 0.9


def test_the_header_says_what_it_was_made_for(tuned, base):
    before, after = tuned
    told = extract.extract(before, after, rank=1).adapter.header
    assert told["modelspec.architecture"] == {"sd": "stable-diffusion-v1/lora"}.get(
        base.name, "stable-diffusion-xl-v1-base/lora"
    )
    assert told["modelspec.prediction_type"] == ("v" if base.name == "sd" else "epsilon")


def test_tensors_that_count_places_make_no_difference(tuned, tmp_path):
    before, after = tuned
    other = shutil.copytree(after, tmp_path / "other")
    with parts.weights(after, "text_encoder") as values:
        tensors = dict(values)
    parts.write(other, "text_encoder", {**tensors, "text_model.embeddings.position_ids": torch.arange(77)[None]})
    one, same = extract.extract(before, after, rank=1), extract.extract(before, other, rank=1)
    assert one.kept == same.kept


def test_models_that_are_the_same_or_of_other_shapes_are_refused(tuned, sdxl, base):
    before, _ = tuned
    with pytest.raises(InputError, match="the two models are the same"):
        extract.extract(before, before)
    if base != sdxl:
        with pytest.raises(ModelError, match="not of the same architecture"):
            extract.extract(before, sdxl)
