import json

import pytest
import torch
from safetensors.torch import save_file

from pipeline.errors import InputError
from pipeline.interchange import show
from pipeline.original import pack
from pipeline.training.weights import KOHYA_FILE, LORA_FILE


@pytest.mark.parametrize(
    ("sort", "what"), [("attention", "a LoRA"), ("convolutions", "a LoRA with convolutions"), ("dora", "a DoRA with")]
)
def test_an_adapter_is_told_in_either_layout(sort, what, made):
    _, folder = made(sort)
    found = [show.value(folder / name) for name in (LORA_FILE, KOHYA_FILE)]
    assert [one["layout"] for one in found] == ["diffusers", "kohya"]
    for one in found:
        assert one["what"].startswith(what)
        assert one["parts"]["unet"] > one["parts"]["text_encoder"] > 0
        assert one["header"]["gesso_trainset_digest"] == "abc"
        assert json.loads(json.dumps(one)) == one
    assert found[0]["parts"] == found[1]["parts"]
    assert found[0]["ranks"] == found[1]["ranks"]
    said = show.words(found[1])
    assert "gesso_trainset_digest = abc" in said
    assert "  layout      kohya" in said


def test_a_base_model_is_told_as_folder_and_as_single_file(base, tmp_path):
    pack.write(base, tmp_path / "a.safetensors")
    folder, file = show.value(base), show.value(tmp_path / "a.safetensors")
    assert folder["kind"] == file["kind"] == ("Stable Diffusion XL" if base.name == "sdxl" else "Stable Diffusion 1")
    assert file["predicts"] == ("epsilon" if base.name == "sdxl" else "v_prediction")
    assert sum(file["formats"].values()) == file["tensors"]
    assert "UNet" not in show.words(folder)


def test_a_new_word_and_what_is_neither(tmp_path):
    save_file({"<robot>": torch.zeros(3, 8)}, tmp_path / "a.safetensors", metadata={"gesso_placeholder": "<robot>"})
    assert show.value(tmp_path / "a.safetensors")["words"] == {"<robot>": 3}
    save_file({name: torch.zeros(1, 1, 1) for name in "abc"}, tmp_path / "b.safetensors")
    assert show.value(tmp_path / "b.safetensors")["what"].startswith("no base model and no adapter")


def test_pickles_and_other_folders_are_refused(tmp_path):
    torch.save({}, tmp_path / "a.safetensors")
    with pytest.raises(InputError, match="pickle under another name"):
        show.value(tmp_path / "a.safetensors")
    with pytest.raises(InputError, match="this folder is no base model"):
        show.value(tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        show.value(tmp_path / "none.safetensors")
