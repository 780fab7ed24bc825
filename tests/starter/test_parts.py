import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import CLIPModel

from pipeline import models
from pipeline.starter import parts, quality


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Architectures, and a CLIP with drawn weights that was handed on."""
    target = tmp_path_factory.mktemp("parts")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "CAPTIONS", 300)
        parts.write_architectures(target / "models")
    models.load_trainable("clip", target / "models" / "clip", seed=3).save_pretrained(target / "trained" / "clip")
    parts.hand_on("clip", target / "trained", target)
    return target


def test_architectures_are_written_once(folder):
    config = folder / "models" / "clip" / "config.json"
    before = config.stat().st_mtime_ns
    parts.write_architectures(folder / "models")
    assert config.stat().st_mtime_ns == before


def test_what_is_handed_on_is_float16_and_opens_as_float32(folder):
    for place in ("weights/clip", "models/sd/text_encoder"):
        stored = load_file(folder / place / "model.safetensors")
        assert {value.dtype for value in stored.values()} == {torch.float16}
        assert json.loads((folder / place / "config.json").read_text())["dtype"] == "float32"
    assert models.load_clip(str(folder / "weights" / "clip"))[0].dtype == torch.float32


def test_blip_begins_with_the_eyes_of_the_clip_that_ships(folder):
    clip = CLIPModel.from_pretrained(folder / "weights" / "clip")
    blip = models.load_trainable("blip", folder / "models" / "blip")
    for name in ("layer_norm1.weight", "mlp.fc1.weight", "mlp.fc2.bias"):
        theirs = clip.vision_model.encoder.layers[2].get_parameter(name)
        assert torch.equal(blip.vision_model.encoder.layers[2].get_parameter(name), theirs)


def test_the_text_encoder_is_the_text_tower(folder):
    whole = CLIPModel.from_pretrained(folder / "weights" / "clip")
    own = whole.text_model.state_dict()
    assert all(torch.equal(value, own[name]) for name, value in parts.text_encoder(whole).state_dict().items())


def test_measures_are_of_the_models_that_ship(monkeypatch, tmp_path):
    for module, name in ((parts.vae, "psnr"), (parts.clip, "retrieval"), (parts.blip, "accuracy")):
        monkeypatch.setattr(module, name, few(getattr(module, name)))
    monkeypatch.setattr(quality, "judged", few(quality.judged))
    monkeypatch.setattr(quality, "painted", few(quality.painted))
    monkeypatch.setattr(quality, "STEPS", 1)
    monkeypatch.setattr(parts.judge, "BATCH", 8)
    found = parts.measure(models.locate("starter").parent, tmp_path, scale=0.001, say=lambda _: None)
    assert set(found) == {"vae_psnr_db", "clip_retrieval_of_100", "blip_right", "judge_right", "unet_right"}
    assert 20 < found["vae_psnr_db"] < 60
    assert 0 <= found["clip_retrieval_of_100"] <= 1


def few(measure):
    return lambda *given: measure(*given, count=2)
