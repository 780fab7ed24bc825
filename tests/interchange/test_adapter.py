import json

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from safetensors.torch import load_file, save_file

from pipeline import headers, models, sampling
from pipeline.errors import InputError
from pipeline.interchange import adapter
from pipeline.interchange.adapter import Adapter, Layer
from pipeline.training.weights import KOHYA_FILE, LORA_FILE

SORTS = ["attention", "convolutions", "dora"]
PAIRS = [("a red circle on a blue background", 3)]


def same(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert (value.dtype, value.shape) == (other[name].dtype, other[name].shape), name
        assert torch.equal(value, other[name]), name


@pytest.mark.parametrize("sort", SORTS)
def test_from_diffusers_to_kohya_and_back_is_the_same_file(sort, made, tmp_path):
    _, folder = made(sort)
    adapter.write(adapter.read(folder / LORA_FILE), tmp_path / "kohya.safetensors", "kohya")
    adapter.write(adapter.read(tmp_path / "kohya.safetensors"), tmp_path / "back.safetensors", "diffusers")
    assert (tmp_path / "back.safetensors").read_bytes() == (folder / LORA_FILE).read_bytes()
    # and what lies between is what a training writes
    same(load_file(tmp_path / "kohya.safetensors"), load_file(folder / KOHYA_FILE))
    between, written = (headers.read(one).metadata for one in (tmp_path / "kohya.safetensors", folder / KOHYA_FILE))
    assert {name: one for name, one in between.items() if name != adapter.KEPT} == written


@pytest.mark.parametrize("sort", SORTS)
def test_from_kohya_to_diffusers_and_back_is_the_same(sort, made, tmp_path):
    """Whose header says nothing of the adapter but its tensors."""
    _, folder = made(sort)
    save_file(load_file(folder / KOHYA_FILE), tmp_path / "bare.safetensors")
    adapter.write(adapter.read(tmp_path / "bare.safetensors"), tmp_path / "diffusers.safetensors", "diffusers")
    same(load_file(tmp_path / "diffusers.safetensors"), load_file(folder / LORA_FILE))
    adapter.write(adapter.read(tmp_path / "diffusers.safetensors"), tmp_path / "back.safetensors", "kohya")
    same(load_file(tmp_path / "back.safetensors"), load_file(folder / KOHYA_FILE))


@pytest.mark.parametrize("sort", SORTS[1:])
def test_diffusers_own_pipeline_paints_the_same_picture_with_each_file(sort, base, made, tmp_path):
    painter, folder = made(sort)
    ours = sampling.sample(models.load_pipeline(str(base), painter=painter), PAIRS, steps=3, size=64)[0]
    plain = sampling.sample(models.load_pipeline(str(base)), PAIRS, steps=3, size=64)[0]
    assert np.abs(ours.astype(int) - plain).max() > 10
    bare = tmp_path / "bare.safetensors"
    save_file(load_file(folder / KOHYA_FILE), bare)
    adapter.write(adapter.read(bare), tmp_path / "from_kohya.safetensors", "diffusers")
    files = [folder / LORA_FILE, tmp_path / "from_kohya.safetensors"]
    if sort != "dora":  # of kohya's layout, diffusers leaves DoRA's lengths out
        files.append(folder / KOHYA_FILE)
    for file in files:
        kind = StableDiffusionXLPipeline if base.name == "sdxl" else StableDiffusionPipeline
        pipe = kind.from_pretrained(base)
        pipe.set_progress_bar_config(disable=True)
        pipe.load_lora_weights(file.parent, weight_name=file.name)
        theirs = sampling.sample(pipe, PAIRS, steps=3, size=64)[0]
        assert np.abs(theirs.astype(int) - ours).max() <= 1, file.name


def test_the_formula_of_an_update():
    down, up = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0], [4.0]])
    layer, weight = Layer(down, up, 0.5), torch.ones(2, 2)
    assert layer.update().tolist() == [[1.5, 3.0], [2.0, 4.0]]
    assert layer.merged(weight, scale=2.0).tolist() == [[4.0, 7.0], [5.0, 9.0]]
    dora = Layer(down, up, 0.5, magnitude=torch.tensor([5.0, 10.0]))
    moved = weight + dora.update()
    wanted = moved / moved.norm(dim=1, keepdim=True) * torch.tensor([[5.0], [10.0]])
    assert torch.allclose(dora.merged(weight), wanted)
    assert dora.merged(weight.half()).dtype == torch.float16


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["quux"], "this is no adapter"),
        (["lora_unet_mid_block_attentions_0_proj_in.hada_w1_a"], "is a LoHa"),
        (["lora_unet_mid_block_attentions_0_proj_in.lora_down.weight"], "half of the layer is missing"),
        (["other.proj.lora_A.weight", "other.proj.lora_B.weight"], "of no part"),
    ],
)
def test_what_is_no_lora_is_refused(names, problem, tmp_path):
    save_file({name: torch.zeros(2, 2) for name in names}, tmp_path / "a.safetensors")
    with pytest.raises(InputError, match=problem):
        adapter.read(tmp_path / "a.safetensors")


def test_what_is_there_is_never_overwritten(tmp_path):
    (tmp_path / "a.safetensors").write_text("mine")
    layers = {"unet": {"conv_in": Layer(torch.ones(1, 2), torch.ones(2, 1), 1.0)}}
    with pytest.raises(InputError, match="it is there already"):
        adapter.write(Adapter(layers), tmp_path / "a.safetensors", "kohya")
    assert (tmp_path / "a.safetensors").read_text() == "mine"


def test_ranks_and_alphas_that_differ_from_most_are_told_by_layer(tmp_path):
    def layer(rank, alpha):
        return Layer(torch.ones(rank, 2), torch.ones(2, rank), alpha)

    layers = {"unet": {"a.to_q": layer(2, 2.0), "a.to_k": layer(2, 2.0), "a.to_v": layer(1, 4.0)}}
    adapter.write(Adapter(layers), tmp_path / "a.safetensors", "diffusers")
    told = json.loads(headers.read(tmp_path / "a.safetensors").metadata[adapter.CONFIG])
    assert (told["unet.r"], told["unet.lora_alpha"]) == (2, 2)
    assert (told["unet.rank_pattern"], told["unet.alpha_pattern"]) == ({"a.to_v": 1}, {"a.to_v": 4.0})
    back = adapter.read(tmp_path / "a.safetensors").layers["unet"]
    assert {name: (one.rank, one.alpha) for name, one in back.items()} == {
        "a.to_q": (2, 2.0),
        "a.to_k": (2, 2.0),
        "a.to_v": (1, 4.0),
    }
