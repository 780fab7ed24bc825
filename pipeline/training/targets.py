"""Which layers of a UNet a LoRA adapts, and with which rank."""

import re
from collections.abc import Sequence

from peft import LoraConfig
from torch import nn

from pipeline.errors import RecipeError
from pipeline.training.settings import TrainSettings

CONVOLUTIONS = ("conv1", "conv2", "conv_shortcut", "conv")
"""Of residual blocks and of what halves and doubles between them: those that sd-scripts adapts by `conv_dim`."""
_BLOCK = re.compile(r"mid_block|(down|up)_blocks\.\d+")


def config(unet: nn.Module, settings: TrainSettings) -> LoraConfig:
    """The configuration of the UNet's adapter.

    Raises:
        RecipeError: a name in `target_modules` or `target_blocks` belongs to no layer.
    """
    layers = [name for name, one in unet.named_modules() if isinstance(one, nn.Linear | nn.Conv2d)]
    for ending in settings.target_modules:
        if not _of(layers, [ending]):
            raise RecipeError(
                "the UNet has no layers with this name",
                field="train.target_modules",
                value=ending,
                remedy="Name layers as in diffusers, such as to_q, to_k, to_v and to_out.0.",
            )
    inside = _within(layers, settings.target_blocks)
    attended = _of(inside, settings.target_modules)
    convolved = _of(inside, CONVOLUTIONS) if settings.conv_rank else []
    if not attended and not convolved:
        raise RecipeError(
            "these blocks have none of the layers to adapt",
            field="train.target_blocks",
            value=list(settings.target_blocks),
            remedy="Name other blocks, name their layers in train.target_modules, or set train.conv_rank.",
        )
    rank, alpha = settings.rank, settings.rank if settings.alpha is None else settings.alpha
    own_rank = settings.conv_rank or rank
    own_alpha = own_rank if settings.conv_alpha is None else settings.conv_alpha
    some = bool(settings.target_blocks or convolved)
    return LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=settings.dropout,
        target_modules=sorted({*attended, *convolved}) if some else list(settings.target_modules),
        rank_pattern=dict.fromkeys(convolved, own_rank) if own_rank != rank else {},
        alpha_pattern=dict.fromkeys(convolved, own_alpha) if own_alpha != alpha else {},
        use_dora=settings.use_dora,
        init_lora_weights="gaussian",
    )


def _of(layers: Sequence[str], endings: Sequence[str]) -> list[str]:
    """The layers whose names are one of `endings`, or end so after a dot, as peft reads them."""
    return [name for name in layers if any(name == one or name.endswith(f".{one}") for one in endings)]


def _within(layers: Sequence[str], blocks: Sequence[str]) -> list[str]:
    """The layers of these blocks; all of them where none are named."""
    if not blocks:
        return list(layers)
    for block in blocks:
        if not any(name == block or name.startswith(f"{block}.") for name in layers):
            known = sorted({found[0] for name in layers if (found := _BLOCK.match(name))})
            raise RecipeError(
                "the UNet has no block with this name",
                field="train.target_blocks",
                value=block,
                remedy=f"Its blocks: {', '.join(known)}; or name a part of one, dots between.",
            )
    return [name for name in layers if any(name == one or name.startswith(f"{one}.") for one in blocks)]
