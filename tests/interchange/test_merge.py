import shutil

import numpy as np
import pytest
import torch

from pipeline import models, sampling
from pipeline.errors import InputError, ModelError
from pipeline.interchange import adapter, merge
from pipeline.interchange.adapter import Adapter, Layer
from pipeline.model_files import locate
from pipeline.original import parts
from pipeline.training.weights import KOHYA_FILE, LORA_FILE

PAIRS = [("a red circle on a blue background", 3)]


def painted(reference, painter=None):
    return sampling.sample(models.load_pipeline(str(reference), painter=painter), PAIRS, steps=3, size=64)[0].astype(
        int
    )


@pytest.mark.parametrize(("sort", "name"), [("convolutions", LORA_FILE), ("dora", KOHYA_FILE)])
def test_a_merged_model_paints_what_the_base_model_paints_with_the_adapter(sort, name, base, made, tmp_path):
    painter, folder = made(sort)
    found = adapter.read(folder / name)
    assert merge.write(full(base, tmp_path), found, tmp_path / "made") == len(found.all) > 50
    assert locate(str(tmp_path / "made")) == tmp_path / "made"
    wanted = painted(base, painter)
    assert np.abs(wanted - painted(base)).max() > 10
    assert np.abs(painted(tmp_path / "made") - wanted).max() <= 1


def full(base, place):
    """The base model in float32, so that sums are not rounded to its half precision."""
    target = place / "full"
    if not target.exists():
        shutil.copytree(base, target)
        for part in parts.of(base):
            with parts.weights(base, part) as values:
                tensors = {name: value.float() for name, value in values.items()}
            parts.write(target, part, tensors)
    return target


def test_a_scale_of_none_and_half(base, made, tmp_path):
    _, folder = made("attention")
    found = adapter.read(folder / LORA_FILE)
    for scale in (0.0, 0.5, 1.0):
        merge.write(full(base, tmp_path), found, tmp_path / str(scale), scale=scale)
    name = next(iter(found.layers["unet"]))
    with (
        parts.weights(tmp_path / "0.0", "unet") as none,
        parts.weights(tmp_path / "0.5", "unet") as half,
        parts.weights(tmp_path / "1.0", "unet") as whole,
        parts.weights(tmp_path / "full", "unet") as before,
    ):
        assert all(torch.equal(none[one], value) for one, value in before.items())
        one, two = (which[f"{name}.weight"] - before[f"{name}.weight"] for which in (half, whole))
        assert torch.allclose(2 * one, two, atol=1e-6)
        assert two.abs().max() > 1e-3


def test_an_adapter_for_another_model_is_refused_and_nothing_is_left(base, tmp_path):
    for name, size, problem in (("nowhere.to_q", 4, "is not there"), ("conv_in", 4, "is .* ought to be 4 x 4")):
        layers = {"unet": {name: Layer(torch.ones(1, size), torch.ones(size, 1), 1.0)}}
        with pytest.raises(ModelError, match=rf"for another base model: {name} {problem}"):
            merge.write(base, Adapter(layers), tmp_path / "made")
    assert not list(tmp_path.iterdir())


def test_the_parts_of_a_full_training_take_the_place_of_the_base_models(base, tmp_path):
    with parts.weights(base, "unet") as values:
        other = {name: value + 1 for name, value in values.items()}
    parts.write(tmp_path / "trained", "unet", other)
    shutil.copy(base / "unet" / "config.json", tmp_path / "trained" / "unet")
    assert merge.replace(base, tmp_path / "trained", tmp_path / "made") == 1
    with parts.weights(tmp_path / "made", "unet") as found:
        assert all(torch.equal(found[name], value) for name, value in other.items())
    assert locate(str(tmp_path / "made")) == tmp_path / "made"
    with pytest.raises(InputError, match="neither an adapter nor a folder of trained parts"):
        merge.replace(base, tmp_path, tmp_path / "again")


def test_what_is_there_is_never_overwritten(base, tmp_path):
    (tmp_path / "made").mkdir()
    for go in (lambda: merge.write(base, Adapter({}), tmp_path / "made"), lambda: merge.copy(base, tmp_path / "made")):
        with pytest.raises(InputError, match="it is there already"):
            go()
