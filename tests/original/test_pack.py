import pytest
import torch
from diffusers.loaders import single_file_utils as diffusers_own
from safetensors.torch import load_file
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from pipeline import headers
from pipeline.errors import InputError
from pipeline.original import kinds, pack, parts


def test_diffusers_own_conversion_reads_the_same_tensors(base, file):
    tensors = load_file(file)
    kind = kinds.look(file).kind
    for part in parts.of(base):
        config = parts.config(base, part)
        if part == "unet":
            found = diffusers_own.convert_ldm_unet_checkpoint(dict(tensors), config)
        elif part == "vae":
            found = diffusers_own.convert_ldm_vae_checkpoint(dict(tensors), config)
        elif kind.texts[part][1]:
            text = CLIPTextModelWithProjection(CLIPTextConfig(**config))
            # it takes the width from the projection, which is square in the published models and not in a tiny one
            tensors = {
                name: value for name, value in tensors.items() if "embedders.1.model.text_projection" not in name
            }
            found = diffusers_own.convert_open_clip_checkpoint(text, dict(tensors), prefix=kind.texts[part][0])
        else:
            found = diffusers_own.convert_ldm_clip_checkpoint(dict(tensors))
        with parts.weights(base, part) as wanted:
            for name, value in wanted.items():
                if name.startswith("text_projection") and part == "text_encoder_2":
                    continue
                assert torch.equal(found[name], value), name


def test_the_header_says_what_it_is(base, file):
    told = headers.read(file).metadata
    wanted = {"sd": "stable-diffusion-v1", "sd2": "stable-diffusion-v2-512", "sdxl": "stable-diffusion-xl-v1-base"}
    assert told["modelspec.architecture"] == wanted[base.name]
    assert told["modelspec.prediction_type"] == ("v" if base.name == "sd" else "epsilon")
    assert told["modelspec.title"] == "model"


def test_stable_diffusion_2_has_the_layer_that_other_programs_look_for(sd2, tmp_path):
    pack.write(sd2, tmp_path / "a.safetensors")
    tensors = load_file(tmp_path / "a.safetensors")
    blocks = "cond_stage_model.model.transformer.resblocks"
    assert torch.equal(tensors[f"{blocks}.2.ln_1.weight"], tensors[f"{blocks}.1.ln_1.weight"])
    assert f"{blocks}.3.ln_1.weight" not in tensors


def test_what_is_there_is_never_overwritten(sd1, tmp_path):
    (tmp_path / "a.safetensors").write_text("mine")
    with pytest.raises(InputError, match="it is there already"):
        pack.write(sd1, tmp_path / "a.safetensors")
    assert (tmp_path / "a.safetensors").read_text() == "mine"
