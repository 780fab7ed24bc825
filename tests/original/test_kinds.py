import json
import subprocess
import sys

import open_clip
import pytest
import torch
from diffusers.loaders.single_file_utils import (
    create_unet_diffusers_config_from_ldm,
    create_vae_diffusers_config_from_ldm,
)
from safetensors.torch import load_file, save_file

from pipeline.errors import ModelError
from pipeline.original import kinds

FOUR = {"attention_resolutions": [4, 2, 1], "channel_mult": [1, 2, 4, 4]}
CODERS = {"in_channels": 3, "out_ch": 3, "z_channels": 4, "ch": 128, "ch_mult": [1, 2, 4, 4], "num_res_blocks": 2}
UNETS = {
    "sd1": {**FOUR, "num_heads": 8, "transformer_depth": 1, "context_dim": 768},
    "sd2": {
        **FOUR,
        "num_head_channels": 64,
        "transformer_depth": 1,
        "context_dim": 1024,
        "use_linear_in_transformer": True,
    },
    "sdxl": {
        "attention_resolutions": [4, 2],
        "channel_mult": [1, 2, 4],
        "num_head_channels": 64,
        "transformer_depth": [1, 2, 10],
        "context_dim": 2048,
        "use_linear_in_transformer": True,
        "num_classes": "sequential",
        "adm_in_channels": 2816,
    },
}
"""Of CompVis/stable-diffusion configs/stable-diffusion/v1-inference.yaml, Stability-AI/generative-models
configs/inference/sd_2_1_768.yaml and sd_xl_base.yaml, read on 2026-11-27."""
SCALES = {"sd1": 0.18215, "sd2": 0.18215, "sdxl": 0.13025}
SIZES = {"sd1": (512, 512), "sd2": (512, 768), "sdxl": (1024, 1024)}
"""Pictures that the UNet and the VAE were trained on; 2.0 and 2.1 that predict velocity have 768 for both."""


@pytest.mark.parametrize("kind", kinds.KINDS, ids=lambda kind: kind.name)
def test_the_shipped_configurations_are_those_of_the_original_code_as_diffusers_reads_them(kind):
    shared = {"in_channels": 4, "out_channels": 4, "model_channels": 320, "num_res_blocks": 2}
    told = {
        "model": {
            "params": {
                "network_config": {"params": {**shared, **UNETS[kind.name]}},
                "first_stage_config": {"params": {"ddconfig": CODERS}},
                "scale_factor": SCALES[kind.name],
            }
        }
    }
    read = {
        "unet": create_unet_diffusers_config_from_ldm(told, {}, image_size=SIZES[kind.name][0]),
        "vae": create_vae_diffusers_config_from_ldm(told, {}, image_size=SIZES[kind.name][1]),
    }
    for part, wanted in read.items():
        ours = kind.published[part]
        for name, value in wanted.items():
            # what diffusers' classes take by themselves is left out of the published files
            default = {"only_cross_attention": False, "transformer_layers_per_block": 1, "use_linear_projection": False}
            assert ours.get(name, default.get(name)) == value, f"{part}.{name}"


@pytest.mark.parametrize(
    ("kind", "part", "name", "acts", "less"),
    [
        (kinds.SD1, "text_encoder", "ViT-L-14-quickgelu", "quick_gelu", 0),
        (kinds.SD2, "text_encoder", "ViT-H-14", "gelu", 1),
        (kinds.SDXL, "text_encoder", "ViT-L-14-quickgelu", "quick_gelu", 0),
        (kinds.SDXL, "text_encoder_2", "ViT-bigG-14", "gelu", 0),
    ],
)
def test_the_shipped_text_encoders_are_those_of_open_clip(kind, part, name, acts, less):
    """Of which Stable Diffusion 2 reads the last layer but one, so that diffusers leaves the last out."""
    told, ours = open_clip.get_model_config(name), kind.published[part]
    text = told["text_cfg"]
    assert ours["hidden_size"] == text["width"]
    assert ours["intermediate_size"] == 4 * text["width"]
    assert ours["num_attention_heads"] == text["heads"]
    assert ours["num_hidden_layers"] == text["layers"] - less
    assert ours["max_position_embeddings"] == text["context_length"]
    assert ours["vocab_size"] == text["vocab_size"]
    assert ours["hidden_act"] == acts == ("quick_gelu" if told.get("quick_gelu") else "gelu")
    assert less or ours["projection_dim"] == told["embed_dim"]


def test_a_kind_is_told_by_the_names_of_a_files_tensors(base, file):
    found = kinds.look(file)
    wanted = "sdxl" if base.name == "sdxl" else "sd2" if base.name == "sd2" else "sd1"
    assert found.kind.name == wanted
    told = json.loads((base / "scheduler" / "scheduler_config.json").read_text())
    assert found.prediction == told["prediction_type"]
    assert not found.zero_terminal_snr


def test_looking_loads_no_torch(file):
    code = f"import sys; from pathlib import Path; from pipeline.original import kinds; kinds.look(Path({str(file)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; print('torch' in sys.modules)"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


@pytest.fixture(scope="module")
def names():
    """The least that makes a file of each kind."""
    unet, vae = f"{kinds.UNET}input_blocks.0.0.weight", f"{kinds.VAE}quant_conv.weight"
    return lambda kind: [unet, vae, *(f"{start}x" for start, _ in kind.texts.values())]


@pytest.fixture
def write(tmp_path):
    def of(names, header=None, beside=None):
        tensors = {name: torch.zeros(1, 4, 3, 3) for name in names}
        save_file(tensors, tmp_path / "a.safetensors", metadata=header or {})
        if beside is not None:
            (tmp_path / "a.yaml").write_text(beside)
        return tmp_path / "a.safetensors"

    return of


@pytest.mark.parametrize(
    ("kind", "header", "more", "beside", "prediction", "zero"),
    [
        (kinds.SD1, {}, [], None, "epsilon", False),
        (kinds.SD1, {"modelspec.prediction_type": "v"}, [], None, "v_prediction", False),
        (kinds.SD2, {}, [], None, None, False),
        (kinds.SD2, {"modelspec.architecture": "stable-diffusion-v2-768-v"}, [], None, "v_prediction", False),
        (kinds.SD2, {"modelspec.architecture": "stable-diffusion-v2-512"}, [], None, "epsilon", False),
        (kinds.SD2, {}, [], "model: {params: {parameterization: v}}", "v_prediction", False),
        (kinds.SD2, {}, [], "model: {params: {linear_start: 0.1}}", "epsilon", False),
        (kinds.SD2, {}, [], "- no configuration", None, False),
        (
            kinds.SD2,
            {},
            [],
            "model: {params: {denoiser_config: {params: {scaling_config: {target: sgm.x.VScaling}}}}}",
            "v_prediction",
            False,
        ),
        (kinds.SDXL, {}, [], None, "epsilon", False),
        (kinds.SDXL, {}, ["v_pred"], None, "v_prediction", False),
        (kinds.SDXL, {}, ["v_pred", "ztsnr"], None, "v_prediction", True),
        (kinds.SDXL, {"ss_zero_terminal_snr": "True"}, [], None, "epsilon", True),
    ],
)
def test_what_the_unet_predicts(kind, header, more, beside, prediction, zero, names, write):
    found = kinds.look(write([*names(kind), *more], header, beside))
    assert (found.kind, found.prediction, found.zero_terminal_snr) == (kind, prediction, zero)


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["lora_unet_mid_block_x.lora_up.weight"], "an adapter"),
        (["unet.down_blocks.0.x.lora_A.weight"], "an adapter"),
        (["emb_params"], "a textual inversion"),
        (["control_model.x", "model.diffusion_model.x"], "a ControlNet"),
        (["conditioner.embedders.0.model.x", "model.diffusion_model.x", "first_stage_model.x"], "refiner"),
        (["model.diffusion_model.x", "cond_stage_model.transformer.x"], "it has no vae"),
        (["first_stage_model.x", "encoder.conv_in.weight"], "a VAE alone"),
        (["quux"], "no base model of a kind that is known"),
    ],
)
def test_what_is_no_base_model_is_named(names, problem, write):
    with pytest.raises(ModelError, match=problem):
        kinds.look(write(names))


def test_a_model_that_inpaints_is_refused(names, write):
    path = write(names(kinds.SD1))
    tensors = load_file(path)
    tensors[f"{kinds.UNET}input_blocks.0.0.weight"] = torch.zeros(1, 9, 3, 3)
    save_file(tensors, path)
    with pytest.raises(ModelError, match="reads 9 channels"):
        kinds.look(path)


def test_a_pickle_and_a_cut_file_are_refused(file, tmp_path):
    torch.save({"state_dict": {}}, tmp_path / "a.safetensors")
    with pytest.raises(ModelError, match=r"base_model\.id: it is a pickle under another name.*pickles are not opened"):
        kinds.look(tmp_path / "a.safetensors")
    (tmp_path / "b.safetensors").write_bytes(file.read_bytes()[:-10])
    with pytest.raises(ModelError, match="it is cut off"):
        kinds.look(tmp_path / "b.safetensors")


def test_single_files_are_known_by_their_names(file, tmp_path):
    assert kinds.is_file(str(file))
    assert not any(kinds.is_file(str(one)) for one in (tmp_path, tmp_path / "a.safetensors", "starter", "owner/name"))
