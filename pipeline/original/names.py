"""Names of layers in the code that Stable Diffusion was trained with, by diffusers' names, dots between.

The original code is CompVis/stable-diffusion for 1.x, Stability-AI/stablediffusion for 2.x and generative-models for
XL; their UNets and VAEs call their layers the same.
"""

import re
from collections.abc import Mapping
from typing import Any

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
"""Layers of a UNet's residual block, by diffusers' name."""
OUTSIDE = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
"""Layers that lie in no block of a UNet."""
VAE = {
    "conv_norm_out": "norm_out",
    "conv_shortcut": "nin_shortcut",
    "mid_block.resnets.0": "mid.block_1",
    "mid_block.resnets.1": "mid.block_2",
    "mid_block.attentions.0": "mid.attn_1",
    "group_norm": "norm",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "proj_out",
    "resnets": "block",
    "downsamplers.0": "downsample",
    "upsamplers.0": "upsample",
}
"""Parts of names of a VAE's layers that are called otherwise."""
_BLOCK = re.compile(r"(down_blocks|up_blocks)\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)")
_MIDDLE = re.compile(r"mid_block\.(resnets|attentions)\.(\d+)\.(.+)")
_LISTED = re.compile(r"(input_blocks|output_blocks)\.(\d+)\.(\d+)\.(.+)")
_CODER_BLOCK = re.compile(r"(down_blocks|up_blocks)\.(\d+)")


def of_unet(name: str, config: Mapping[str, Any]) -> str:
    """A UNet's layer in the original code; `name` is such as `down_blocks.1.attentions.0.proj_in`.

    The layers of a level follow each other there in one list, input_blocks going down and output_blocks going up, a
    residual block first in each. `config` is the UNet's.

    Raises:
        ValueError: the original code has no such layer.
    """
    each = config["layers_per_block"] + 1
    if found := _BLOCK.fullmatch(name):
        way, level, kind, number, rest = found[1], int(found[2]), found[3], int(found[4]), found[5]
        begins = each * level + (way == "down_blocks")
        match kind:
            case "downsamplers":
                return f"input_blocks.{begins + each - 1}.0.{rest.replace('conv', 'op', 1)}"
            case "upsamplers":
                place = 2 if "CrossAttn" in config["up_block_types"][level] else 1
                return f"output_blocks.{begins + each - 1}.{place}.{rest}"
        blocks = "input_blocks" if way == "down_blocks" else "output_blocks"
        return f"{blocks}.{begins + number}.{_within(kind, rest)}"
    if found := _MIDDLE.fullmatch(name):
        place = 1 if found[1] == "attentions" else 2 * int(found[2])
        return f"middle_block.{place}.{_within(found[1], found[3]).partition('.')[2]}"
    if name in OUTSIDE:
        return OUTSIDE[name]
    raise ValueError(f"the original code has no layer {name}")


def of_diffusers(original: str, *, layers_per_block: int = 2) -> str:
    """The reverse of `of_unet`: a UNet's layer in diffusers.

    Raises:
        ValueError: it is no name of the original code.
    """
    each = layers_per_block + 1
    if found := _LISTED.fullmatch(original):
        down, number, place, rest = found[1] == "input_blocks", int(found[2]), int(found[3]), found[4]
        level, at = divmod(number - down, each)
        blocks = f"{'down' if down else 'up'}_blocks.{level}"
        if rest == "op":
            return f"{blocks}.downsamplers.0.conv"
        if rest == "conv":
            return f"{blocks}.upsamplers.0.conv"
        return f"{blocks}.{'resnets' if place == 0 else 'attentions'}.{at}.{_RESNET_BACK.get(rest, rest)}"
    if found := re.fullmatch(r"middle_block\.([012])\.(.+)", original):
        number, rest = int(found[1]), found[2]
        part = "attentions.0" if number == 1 else f"resnets.{number // 2}"
        return f"mid_block.{part}.{_RESNET_BACK.get(rest, rest)}"
    if original in _OUTSIDE_BACK:
        return _OUTSIDE_BACK[original]
    raise ValueError(f"diffusers has no layer for {original}")


def of_vae(name: str, *, levels: int) -> str:
    """A VAE's layer in the original code, of a VAE of so many levels: its decoder counts them from the other end."""

    def block(found: re.Match[str]) -> str:
        return f"down.{found[2]}" if found[1] == "down_blocks" else f"up.{levels - 1 - int(found[2])}"

    name = _CODER_BLOCK.sub(block, name)
    for ours, theirs in VAE.items():
        name = re.sub(rf"(^|\.){re.escape(ours)}(\.|$)", rf"\1{theirs}\2", name)
    return name


_RESNET_BACK = {theirs: ours for ours, theirs in RESNET.items()}
_OUTSIDE_BACK = {theirs: ours for ours, theirs in OUTSIDE.items()}


def _within(kind: str, rest: str) -> str:
    if kind == "attentions":
        return f"1.{rest}"
    return f"0.{RESNET[rest]}"
