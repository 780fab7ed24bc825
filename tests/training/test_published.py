"""Architectures of Stable Diffusion 1, 2 and XL on the meta device: parameters, layers an adapter learns, names.

Their configurations are those that gesso ships (tests/original/test_kinds.py holds them against the original code's).
No published file of weights was at hand: of the counts, 859.52 M and 865.91 M are what the original code says of its
UNets when it loads them (DiffusionWrapper), the others are those of these configurations and guard against a change.
Nothing is allocated.
"""

import functools
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from pipeline.original import kinds
from pipeline.training import kohya

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
SHIPPED: dict[str, dict[str, Any]] = {kind.name: kind.published for kind in kinds.KINDS}


@functools.cache
def unet(name: str) -> Any:
    with torch.device("meta"):
        return UNet2DConditionModel.from_config(SHIPPED[name]["unet"])


def count(model: torch.nn.Module) -> int:
    return sum(one.numel() for one in model.parameters())


def attention(name: str) -> dict[str, torch.nn.Linear]:
    return {layer: one for layer, one in unet(name).named_modules() if layer.endswith(ATTENTION)}


@pytest.mark.parametrize(("name", "parameters"), [("sd1", 859520964), ("sd2", 865910724), ("sdxl", 2567463684)])
def test_unets_have_the_number_of_parameters_that_is_told_of_them(name: str, parameters: int) -> None:
    assert count(unet(name)) == parameters


@pytest.mark.parametrize("name", SHIPPED)
def test_the_vae_is_of_one_size_in_all(name: str) -> None:
    with torch.device("meta"):
        assert count(AutoencoderKL.from_config(SHIPPED[name]["vae"])) == 83653863


@pytest.mark.parametrize(
    ("name", "part", "parameters"),
    [
        ("sd1", "text_encoder", 123060480),
        ("sd2", "text_encoder", 340387840),
        ("sdxl", "text_encoder", 123060480),
        ("sdxl", "text_encoder_2", 694659840),
    ],
)
def test_text_encoders_have_a_known_number_of_parameters(name: str, part: str, parameters: int) -> None:
    kind: Any = CLIPTextModel if part == "text_encoder" else CLIPTextModelWithProjection
    with torch.device("meta"):
        assert count(kind(CLIPTextConfig(**SHIPPED[name][part]))) == parameters


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
def test_layers_of_sdxl_have_their_names_in_the_original_code(layer: str, name: str) -> None:
    assert kohya.original(layer, unet("sdxl")) == name
