import re
import shutil

import pytest
import torch
from diffusers.loaders import single_file_utils as diffusers_own
from safetensors.torch import load_file
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from pipeline import headers
from pipeline.errors import InputError, ModelError
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


def test_older_names_of_a_vaes_attention_are_known(sd1, tmp_path):
    old = shutil.copytree(sd1, tmp_path / "old")
    names = {new: was for was, new in parts.ATTENTION.items()}
    with parts.weights(sd1, "vae") as values:
        tensors = {
            re.sub(
                r"(\.attentions\.\d+)\.(to_.*)\.(\w+)$", lambda one: f"{one[1]}.{names[one[2]]}.{one[3]}", name
            ): value
            for name, value in values.items()
        }
    assert sum(".proj_attn." in name for name in tensors) == 4
    parts.write(old, "vae", tensors)
    for name, folder in (("new", sd1), ("was", old)):
        pack.write(folder, tmp_path / f"{name}.safetensors")
    new, was = load_file(tmp_path / "new.safetensors"), load_file(tmp_path / "was.safetensors")
    assert list(new) == list(was)
    assert all(torch.equal(new[name], was[name]) for name in new)


def test_a_model_that_lacks_a_tensor_is_refused_in_words(sd1, tmp_path):
    half = shutil.copytree(sd1, tmp_path / "half")
    with parts.weights(sd1, "unet") as values:
        parts.write(half, "unet", {name: value for name, value in values.items() if name != "conv_in.bias"})
    with pytest.raises(ModelError, match=r"its unet has no conv_in.bias, which its config.json asks for"):
        pack.write(half, tmp_path / "a.safetensors")
    assert not (tmp_path / "a.safetensors").exists()


def test_what_is_there_is_never_overwritten(sd1, tmp_path):
    (tmp_path / "a.safetensors").write_text("mine")
    with pytest.raises(InputError, match="it is there already"):
        pack.write(sd1, tmp_path / "a.safetensors")
    assert (tmp_path / "a.safetensors").read_text() == "mine"
