"""Names of a UNet's layers in kohya's sd-scripts: diffusers' own for Stable Diffusion, the original code's for SDXL."""

from typing import Any

from pipeline.original import names

PREFIXES = {"unet": "lora_unet", "text_encoder": "lora_te1", "text_encoder_2": "lora_te2"}
"""What a layer's name begins with, by its model's folder."""
ALONE = "lora_te"
"""What it begins with in the one text encoder of Stable Diffusion."""


def is_sdxl(unet: Any) -> bool:  # noqa: ANN401 - diffusers has no types
    """Whether a UNet is one of SDXL's kind: it is told a caption's summary and sizes."""
    return bool(unet.config.addition_embed_type == "text_time")


def original(name: str, unet: Any) -> str:  # noqa: ANN401
    """A layer's name in the code that SDXL was trained with, dots between; see `names.of_unet`.

    Raises:
        ValueError: the original code has no such layer.
    """
    return names.of_unet(name, unet.config)
