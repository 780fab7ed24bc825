"""The published architectures on torch's meta device: parameters, layers an adapter learns, kohya's names of them.

The configurations and counts are those of the models' published files; nothing is allocated.
"""

import functools
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from pipeline.training import kohya

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
SD1: dict[str, Any] = {"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8}
SD2: dict[str, Any] = {
    "sample_size": 96,
    "cross_attention_dim": 1024,
    "attention_head_dim": (5, 10, 20, 20),
    "use_linear_projection": True,
}
SDXL: dict[str, Any] = {
    "sample_size": 128,
    "cross_attention_dim": 2048,
    "attention_head_dim": (5, 10, 20),
    "use_linear_projection": True,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "block_out_channels": (320, 640, 1280),
    "transformer_layers_per_block": (1, 2, 10),
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
UNETS = {"sd1": SD1, "sd2": SD2, "sdxl": SDXL}


@functools.cache
def unet(name: str) -> Any:
    with torch.device("meta"):
        return UNet2DConditionModel(**UNETS[name])


def count(model: torch.nn.Module) -> int:
    return sum(one.numel() for one in model.parameters())


def attention(name: str) -> dict[str, torch.nn.Linear]:
    return {layer: one for layer, one in unet(name).named_modules() if layer.endswith(ATTENTION)}


@pytest.mark.parametrize(("name", "parameters"), [("sd1", 859520964), ("sd2", 865910724), ("sdxl", 2567463684)])
def test_unets_have_the_published_number_of_parameters(name: str, parameters: int) -> None:
    assert count(unet(name)) == parameters


def test_the_vae_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        vae = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(128, 256, 512, 512),
            layers_per_block=2,
        )
    assert count(vae) == 83653863


@pytest.mark.parametrize(
    ("kind", "width", "inner", "layers", "heads", "projected", "parameters"),
    [
        (CLIPTextModel, 768, 3072, 12, 12, 768, 123060480),
        (CLIPTextModel, 1024, 4096, 23, 16, 512, 340387840),
        (CLIPTextModelWithProjection, 1280, 5120, 32, 20, 1280, 694659840),
    ],
)
def test_text_encoders_have_the_published_number_of_parameters(
    kind: Any,
    width: int,
    inner: int,
    layers: int,
    heads: int,
    projected: int,
    parameters: int,
) -> None:
    config = CLIPTextConfig(
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        projection_dim=projected,
    )
    with torch.device("meta"):
        assert count(kind(config)) == parameters


@pytest.mark.parametrize(
    ("name", "layers", "parameters"), [("sd1", 128, 3188736), ("sd2", 128, 3319808), ("sdxl", 560, 23224320)]
)
def test_an_adapter_of_rank_16_on_attention_has_as_many_layers_and_parameters(
    name: str, layers: int, parameters: int
) -> None:
    found = attention(name)
    assert len(found) == layers
    assert sum(16 * (one.in_features + one.out_features) for one in found.values()) == parameters


def test_every_layer_of_sdxl_has_a_name_of_its_own_in_the_original_code() -> None:
    kinds = (torch.nn.Linear, torch.nn.Conv2d)
    layers = [layer for layer, one in unet("sdxl").named_modules() if isinstance(one, kinds)]
    names = [kohya.original(layer, unet("sdxl")) for layer in layers]
    assert len({name.replace(".", "_") for name in names}) == len(layers)


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        ("down_blocks.1.attentions.0.proj_in", "input_blocks.4.1.proj_in"),
        (
            "down_blocks.2.attentions.1.transformer_blocks.9.attn2.to_k",
            "input_blocks.8.1.transformer_blocks.9.attn2.to_k",
        ),
        ("mid_block.attentions.0.transformer_blocks.0.attn1.to_q", "middle_block.1.transformer_blocks.0.attn1.to_q"),
        ("up_blocks.0.attentions.0.proj_out", "output_blocks.0.1.proj_out"),
        ("up_blocks.1.attentions.2.proj_in", "output_blocks.5.1.proj_in"),
        ("up_blocks.0.upsamplers.0.conv", "output_blocks.2.2.conv"),
        ("down_blocks.0.downsamplers.0.conv", "input_blocks.3.0.op"),
    ],
)
def test_layers_of_sdxl_have_their_published_names(layer: str, name: str) -> None:
    assert kohya.original(layer, unet("sdxl")) == name
