import pytest
import torch
from safetensors.torch import load_file, save_file

from flows import weights
from pipeline.errors import InputError
from pipeline.headers import read
from pipeline.interchange import adapter
from pipeline.interchange.adapter import Adapter, Layer
from pipeline.model_files import STARTER
from pipeline.original import parts
from pipeline.recipe import parse
from pipeline.run import Run
from pipeline.workspace import Workspace

LAYER = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
PLAIN = {"prediction": None, "config": None}


@pytest.fixture
def lora(tmp_path):
    """A LoRA for the starter, of one layer."""
    with parts.weights(STARTER / "sd", "unet") as values:
        rows, columns = values[f"{LAYER}.weight"].shape
    layer = Layer(torch.ones(2, columns), torch.ones(rows, 2), 1.0)
    adapter.write(Adapter({"unet": {LAYER: layer}}), tmp_path / "lora.safetensors", "diffusers")
    return tmp_path / "lora.safetensors"


def test_a_workspace_stands_for_what_its_latest_run_trained(lora, tmp_path):
    workspace = Workspace.create(tmp_path / "w")
    asked = parse({"name": "x", "sources": [{"path": str(tmp_path)}]})
    with pytest.raises(InputError, match="no run of this workspace has trained yet"):
        weights.trained(workspace.root)
    for name, files in (("old", ["pytorch_lora_weights"]), ("new", ["kohya", "pytorch_lora_weights"])):
        run = Run.create(workspace, asked, command="a test")
        run.save_json("training", {"folder": name, "weights": "weights"})
        for file in files:
            place = workspace.root / "trainings" / name / "weights" / f"{file}.safetensors"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(lora.read_bytes())
    Run.create(workspace, asked, command="a later one, which only prepares")
    assert weights.trained(workspace.root).relative_to(workspace.root / "trainings").parts[0] == "new"
    assert weights.trained(workspace.root).name == "pytorch_lora_weights.safetensors"
    assert weights.trained(lora) == lora
    (workspace.root / "trainings" / "new" / "weights" / "unet").mkdir()
    for file in files:
        (workspace.root / "trainings" / "new" / "weights" / f"{file}.safetensors").unlink()
    assert weights.trained(workspace.root).name == "weights"


def test_an_adapter_is_converted_to_the_other_layout_and_back(lora, tmp_path):
    said = weights.convert(lora, tmp_path / "kohya.safetensors", layout=None, **PLAIN)
    assert said.startswith("a LoRA in kohya's layout")
    assert f"lora_unet_{LAYER.replace('.', '_')}.alpha" in load_file(tmp_path / "kohya.safetensors")
    weights.convert(tmp_path / "kohya.safetensors", tmp_path / "back.safetensors", layout=None, **PLAIN)
    assert (tmp_path / "back.safetensors").read_bytes() == lora.read_bytes()
    weights.convert(lora, tmp_path / "same.safetensors", layout="diffusers", **PLAIN)
    assert (tmp_path / "same.safetensors").read_bytes() == lora.read_bytes()


def test_what_was_merged_is_extracted_again(lora, tmp_path):
    assert weights.merge("starter", lora, tmp_path / "merged", scale=1.0, **PLAIN).startswith("1 layers merged")
    said = weights.extract(
        "starter",
        str(tmp_path / "merged"),
        tmp_path / "k.safetensors",
        rank=1,
        energy=None,
        layout="kohya",
        **PLAIN,
    )
    assert said.startswith("1 layers of rank 1 in ")
    (found,) = adapter.read(tmp_path / "k.safetensors").all
    # the starter is in half precision, in which the sum was rounded
    assert torch.allclose(found.update(), torch.ones_like(found.update()), atol=2e-3)


@pytest.mark.parametrize("name", ["merged", "merged.safetensors"])
def test_a_merged_model_says_which_training_set_is_in_it(name, lora, tmp_path):
    save_file(load_file(lora), tmp_path / "told.safetensors", metadata={"gesso_trainset_digest": "abc", "other": "x"})
    weights.merge("starter", tmp_path / "told.safetensors", tmp_path / name, scale=1.0, **PLAIN)
    path = tmp_path / name if name != "merged" else tmp_path / name / "unet" / parts.WEIGHTS["unet"]
    assert read(path).metadata["gesso_trainset_digest"] == "abc"
    trained = tmp_path / "trained" / "unet"
    trained.mkdir(parents=True)
    (trained / "config.json").write_text((STARTER / "sd" / "unet" / "config.json").read_text())
    with parts.weights(STARTER / "sd", "unet") as values:
        save_file(dict(values), trained / "a.safetensors", metadata={"gesso_trainset_digest": "def"})
    weights.merge("starter", tmp_path / "trained", tmp_path / f"full-{name}", scale=1.0, **PLAIN)
    path = tmp_path / f"full-{name}" if name != "merged" else tmp_path / f"full-{name}" / "unet" / "a.safetensors"
    assert read(path).metadata["gesso_trainset_digest"] == "def"


def test_what_cannot_be_converted_is_said(tmp_path):
    save_file({"<robot>": torch.zeros(2, 8)}, tmp_path / "word.safetensors")
    with pytest.raises(InputError, match="nothing to convert: this is a textual inversion"):
        weights.convert(tmp_path / "word.safetensors", tmp_path / "a.safetensors", layout=None, **PLAIN)
