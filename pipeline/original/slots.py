"""Which tensor of a single file is which parameter of diffusers' and transformers' models, both ways, bit for bit."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from pipeline import openclip
from pipeline.original import kinds, names
from pipeline.original.kinds import Kind
from pipeline.original.parts import PROJECTION, TEXT_MODEL, published


@dataclass(frozen=True)
class Slot:
    """One tensor of a single file, and the parameters that it holds: one, or queries, keys and values on each other."""

    original: str
    names: tuple[str, ...]
    shape: tuple[int, ...]
    """Of each parameter."""
    turned: bool = False
    """Whether the file has it transposed."""
    square: bool = False
    """Whether the file has a linear layer as a convolution of 1 x 1 (a VAE's attention)."""

    def fits(self, shape: Sequence[int]) -> bool:
        """Whether a tensor of this shape can be taken apart into the parameters."""
        rows, *rest = self.shape[::-1] if self.turned else self.shape
        wanted = [rows * len(self.names), *rest]
        return _without_ones(shape) == _without_ones(wanted)

    def apart(self, value: Tensor) -> dict[str, Tensor]:
        """The parameters in a tensor of the file."""
        parts = value.chunk(len(self.names)) if len(self.names) > 1 else (value.T if self.turned else value,)
        return {
            name: part.reshape(self.shape).contiguous().clone() for name, part in zip(self.names, parts, strict=True)
        }

    def together(self, values: Mapping[str, Tensor]) -> Tensor:
        """The file's tensor of the parameters."""
        found = [values[name] for name in self.names]
        one = found[0] if len(found) == 1 else torch.cat(found)
        if self.turned:
            one = one.T
        return (one[:, :, None, None] if self.square else one).contiguous()


def of_part(kind: Kind, part: str, config: Mapping[str, Any]) -> list[Slot]:
    """The slots of a part: `unet`, `vae`, or a text encoder; `config` is the part's, and nothing is allocated.

    Raises:
        ValueError: the original code has no such layers.
    """
    with torch.device("meta"):
        model = _model(part, config)
    shapes = {published(name, part): tuple(one.shape) for name, one in model.state_dict().items()}
    if part == "unet":
        return [Slot(kinds.UNET + _of_layer(name, lambda one: names.of_unet(one, config)), (name,), shape)
                for name, shape in shapes.items()]  # fmt: skip
    if part == "vae":
        levels = len(config["block_out_channels"])
        return [
            Slot(
                kinds.VAE + _of_layer(name, lambda one: names.of_vae(one, levels=levels)),
                (name,),
                shape,
                square="attentions" in name and len(shape) == 2,
            )
            for name, shape in shapes.items()
        ]
    start, opened = kind.texts[part]
    return (
        _of_openclip(start, shapes)
        if opened
        else [Slot(start + name, (name,), shape) for name, shape in shapes.items()]
    )


def _of_openclip(start: str, shapes: Mapping[str, tuple[int, ...]]) -> list[Slot]:
    found = []
    for name, shape in shapes.items():
        if stacked := re.fullmatch(r"text_model\.(.*)self_attn\.([qkv])_proj\.(weight|bias)", name):
            if stacked[2] == "q":
                three = tuple(f"{TEXT_MODEL}{stacked[1]}self_attn.{one}_proj.{stacked[3]}" for one in "qkv")
                found.append(Slot(start + openclip.renamed(f"{stacked[1]}attn.in_proj_{stacked[3]}"), three, shape))
        elif name.startswith(PROJECTION):
            found.append(Slot(f"{start}text_projection", (name,), shape, turned=True))
        else:
            found.append(Slot(start + openclip.renamed(name.removeprefix(TEXT_MODEL)), (name,), shape))
    return found


def _model(part: str, config: Mapping[str, Any]) -> Any:  # noqa: ANN401 - the libraries have no types
    if part == "unet":
        return UNet2DConditionModel.from_config(dict(config))
    if part == "vae":
        return AutoencoderKL.from_config(dict(config))
    kind = CLIPTextModel if part == "text_encoder" else CLIPTextModelWithProjection
    return kind(CLIPTextConfig(**config))


def _of_layer(name: str, renamed: Any) -> str:  # noqa: ANN401
    layer, _, leaf = name.rpartition(".")
    return f"{renamed(layer)}.{leaf}"


def _without_ones(shape: Sequence[int]) -> list[int]:
    """A shape without what a linear layer and a convolution of 1 x 1 differ in."""
    end = len(shape)
    while end > 2 and shape[end - 1] == 1:
        end -= 1
    return list(shape[:end])
