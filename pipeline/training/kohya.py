"""Names of a UNet's layers in kohya's sd-scripts: diffusers' own for Stable Diffusion, the original code's for SDXL."""

import re
from typing import Any

PREFIXES = {"unet": "lora_unet", "text_encoder": "lora_te1", "text_encoder_2": "lora_te2"}
"""What a layer's name begins with, by its model's folder."""
ALONE = "lora_te"
"""What it begins with in the one text encoder of Stable Diffusion."""
RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
"""Layers of a residual block, by diffusers' name."""
OUTSIDE = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
"""Layers that lie in no block."""
_BLOCK = re.compile(r"(down_blocks|up_blocks)\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)")
_MIDDLE = re.compile(r"mid_block\.(resnets|attentions)\.(\d+)\.(.+)")


def is_sdxl(unet: Any) -> bool:  # noqa: ANN401 - diffusers has no types
    """Whether a UNet is one of SDXL's kind: it is told a caption's summary and sizes."""
    return bool(unet.config.addition_embed_type == "text_time")


def original(name: str, unet: Any) -> str:  # noqa: ANN401
    """A layer's name in the code that SDXL was trained with (Stability AI's generative-models), dots between.

    `name` is diffusers', such as `down_blocks.1.attentions.0.proj_in`. The layers of a level follow each other there in
    one list, input_blocks going down and output_blocks going up, a residual block first in each.

    Raises:
        ValueError: the UNet has no such layer.
    """
    each = unet.config.layers_per_block + 1
    if found := _BLOCK.fullmatch(name):
        way, level, kind, number, rest = found[1], int(found[2]), found[3], int(found[4]), found[5]
        begins = each * level + (way == "down_blocks")
        match kind:
            case "downsamplers":
                return f"input_blocks.{begins + each - 1}.0.{rest.replace('conv', 'op', 1)}"
            case "upsamplers":
                place = 2 if "CrossAttn" in unet.config.up_block_types[level] else 1
                return f"output_blocks.{begins + each - 1}.{place}.{rest}"
        blocks = "input_blocks" if way == "down_blocks" else "output_blocks"
        return f"{blocks}.{begins + number}.{_within(kind, rest)}"
    if found := _MIDDLE.fullmatch(name):
        place = 1 if found[1] == "attentions" else 2 * int(found[2])
        return f"middle_block.{place}.{_within(found[1], found[3]).partition('.')[2]}"
    if name in OUTSIDE:
        return OUTSIDE[name]
    raise ValueError(f"SDXL's original code has no layer {name}")


def _within(kind: str, rest: str) -> str:
    if kind == "attentions":
        return f"1.{rest}"
    return f"0.{RESNET[rest]}"
