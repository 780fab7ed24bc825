import torch
from safetensors.torch import load_file, save_file

from pipeline.original import parts


def test_parts_of_a_folder(sd1, sdxl):
    assert parts.of(sd1) == ("unet", "vae", "text_encoder")
    assert parts.of(sdxl) == ("unet", "vae", "text_encoder", "text_encoder_2")
    assert parts.config(sd1, "unet")["_class_name"] == "UNet2DConditionModel"


def test_weights_in_several_files_are_read_as_one_and_other_formats_are_not(tmp_path):
    (tmp_path / "unet").mkdir()
    save_file({"a": torch.ones(2)}, tmp_path / "unet" / "x-00001-of-00002.safetensors")
    save_file({"b": torch.zeros(2)}, tmp_path / "unet" / "x-00002-of-00002.safetensors")
    save_file({"c": torch.zeros(2)}, tmp_path / "unet" / "x.fp16.safetensors")
    with parts.weights(tmp_path, "unet") as found:
        assert {name: value.tolist() for name, value in found.items()} == {"a": [1.0, 1.0], "b": [0.0, 0.0]}
        assert len(found) == 2


def test_text_encoders_have_their_published_names_whoever_saved_them(tmp_path):
    parts.write(tmp_path, "text_encoder", {"final_layer_norm.bias": torch.ones(1)}, {"said": "so"})
    with parts.weights(tmp_path, "text_encoder") as found:
        assert list(found) == ["text_model.final_layer_norm.bias"]
        assert found["text_model.final_layer_norm.bias"].tolist() == [1.0]
    assert list(load_file(tmp_path / "text_encoder" / "model.safetensors")) == ["final_layer_norm.bias"]
    assert parts.published("text_projection.weight", "text_encoder_2") == "text_projection.weight"
    assert parts.published("conv_in.weight", "unet") == "conv_in.weight"
