import json
import os
import shutil
import subprocess
import sys

import pytest
import torch
from diffusers import AutoencoderKL

from pipeline.errors import ModelError
from pipeline.model_files import PARTS, STARTER, config, is_id, latent_scale, locate, text_hash, weights_hash


@pytest.fixture
def base(tmp_path):
    shutil.copytree(STARTER / "sd", tmp_path / "sd")
    return tmp_path / "sd"


def test_the_starter_ships_every_part():
    for part, folder in PARTS.items():
        assert locate("starter", part=part) == STARTER / folder


def test_looking_for_files_loads_no_torch():
    code = "import sys; from pipeline.model_files import locate; locate('starter'); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.parametrize("gone", ["model_index.json", "unet/config.json", "vae/diffusion_pytorch_model.safetensors"])
def test_half_a_model_is_one_sentence(base, gone):
    (base / gone).unlink()
    with pytest.raises(ModelError, match=r"^base_model.id: the model has no "):
        locate(str(base))


def test_pickles_are_refused(base, tmp_path):
    weights = base / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(ModelError, match="pickled weights only in unet"):
        locate(str(base))
    (tmp_path / "model.ckpt").write_bytes(b"")
    with pytest.raises(ModelError, match="a pickle can run code"):
        locate(str(tmp_path / "model.ckpt"))


def test_weights_that_are_no_weights_are_refused_before_anything_is_loaded(base):
    weights = base / "vae" / "diffusion_pytorch_model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1])
    with pytest.raises(ModelError, match=r"vae/diffusion_pytorch_model\.safetensors is no weights: it is cut off"):
        locate(str(base))
    torch.save({"one": torch.zeros(2)}, weights)
    with pytest.raises(ModelError, match="it is a pickle under another name"):
        locate(str(base))
    weights.write_bytes(whole)
    shutil.copy(weights, weights.with_name("diffusion_pytorch_model.fp16.safetensors"))
    weights.with_name("diffusion_pytorch_model.fp16.safetensors").write_bytes(b"nothing reads it")
    assert locate(str(base)) == base


def test_a_family_that_is_not_known_is_named(base):
    (base / "model_index.json").write_text(json.dumps({"_class_name": "FluxPipeline"}))
    with pytest.raises(ModelError, match="FluxPipeline"):
        locate(str(base))


@pytest.mark.parametrize("gone", ["text_encoder_2/model.safetensors", "text_encoder_2/config.json", "tokenizer_2"])
def test_half_of_sdxl_is_one_sentence(sdxl, tmp_path, gone):
    whole = shutil.copytree(sdxl, tmp_path / "xl")
    assert locate(str(whole)) == whole
    shutil.rmtree(whole / gone) if (whole / gone).is_dir() else (whole / gone).unlink()
    with pytest.raises(ModelError, match=r"^base_model.id: the model has no .*_2"):
        locate(str(whole))


def test_texts_are_decided_by_every_encoder_and_by_what_no_caption_is(sdxl, base, tmp_path):
    assert text_hash(base) == weights_hash(base, "text_encoder")
    found = {text_hash(sdxl)}
    for number, path in enumerate(("text_encoder/config.json", "text_encoder_2/config.json", "model_index.json")):
        other = shutil.copytree(sdxl, tmp_path / str(number))
        told = json.loads((other / path).read_text())
        (other / path).write_text(json.dumps({**told, "layer_norm_eps": 1e-4, "force_zeros_for_empty_prompt": False}))
        found.add(text_hash(other))
    words = shutil.copytree(sdxl, tmp_path / "words") / "tokenizer_2" / "tokenizer.json"
    words.write_text(words.read_text().replace("circle", "kringel"))
    assert len({*found, text_hash(tmp_path / "words")}) == 5


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ({}, (0.18215, 0.0)),
        ({"scaling_factor": 0.13025}, (0.13025, 0.0)),
        ({"scaling_factor": 0.3611, "shift_factor": 0.1159}, (0.3611, 0.1159)),
        ({"scaling_factor": 0.5, "shift_factor": None}, (0.5, 0.0)),
    ],
)
def test_the_scale_of_latents_is_as_diffusers_takes_it(tmp_path, told, wanted):
    AutoencoderKL().save_pretrained(tmp_path / "vae")
    path = tmp_path / "vae" / "config.json"
    config = {name: one for name, one in json.loads(path.read_text()).items() if not name.endswith("_factor")}
    path.write_text(json.dumps({**config, **told}))
    assert latent_scale(tmp_path) == wanted
    opened = AutoencoderKL.from_pretrained(tmp_path / "vae").config
    assert (opened.scaling_factor, opened.shift_factor or 0.0) == wanted


def test_a_hash_covers_weights_configuration_and_words_alone(base):
    before = {part: weights_hash(base, part) for part in ("unet", "vae", "text_encoder")}
    index = base / "unet" / "config.json"
    config = json.loads(index.read_text())
    index.write_text(json.dumps({**config, "_diffusers_version": "9"}, indent=7))
    (base / "unet" / "notes.md").write_text("mine")
    assert weights_hash(base, "unet") == before["unet"]

    index.write_text(json.dumps({**config, "sample_size": 17}))
    words = base / "tokenizer" / "tokenizer.json"
    words.write_text(words.read_text().replace("circle", "kringel"))
    weights = base / "vae" / "diffusion_pytorch_model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    os.utime(weights, ns=(0, 0))
    assert not {weights_hash(base, part) for part in before} & set(before.values())


def test_a_hash_is_the_same_wherever_the_model_lies(base):
    assert weights_hash(base, "unet") == weights_hash(STARTER / "sd", "unet")


@pytest.mark.parametrize("reference", ["gpt2", "owner/name", "owner/name-1.5_x"])
def test_ids(reference):
    assert is_id(reference)


@pytest.mark.parametrize("reference", ["/a/b", "./a", "../a", "a/b/c", "~/a", "a b", "", "a/"])
def test_no_ids(reference):
    assert not is_id(reference)


def test_a_configuration_is_read_as_it_stands():
    assert config(locate("starter") / "unet")["block_out_channels"] == [64, 128]
