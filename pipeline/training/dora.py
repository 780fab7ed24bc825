"""DoRA's magnitudes (Liu et al. 2024): what an adapted layer's rows are long, by the names of both layouts.

A layer is W' = m * (W + s B A) / |W + s B A|, with a length for each output. peft and diffusers call m
`lora_magnitude_vector`, O numbers of a linear layer and 1 x O x 1 x 1 of a convolution. LyCORIS, OneTrainer and ComfyUI
call it `dora_scale` and give it the shape that multiplies the weight: O x 1, and O x 1 x 1 x 1.
"""

from collections.abc import Mapping

from torch import Tensor

PEFTS, KOHYAS = ".lora_magnitude_vector", ".dora_scale"
"""Endings of names."""


def parted(layers: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The matrices of an adapter, and the magnitudes by their layers' names; none of an adapter without DoRA."""
    magnitudes = {name.removesuffix(PEFTS): one for name, one in layers.items() if name.endswith(PEFTS)}
    return {name: one for name, one in layers.items() if not name.endswith(PEFTS)}, magnitudes


def scale_of(magnitude: Tensor) -> Tensor:
    """The `dora_scale` of magnitudes as peft has them."""
    return magnitude.transpose(0, 1) if magnitude.ndim > 1 else magnitude[:, None]


def magnitude_of(scale: Tensor) -> Tensor:
    """The magnitudes of a `dora_scale` as peft has them."""
    return scale.transpose(0, 1) if scale.ndim > 2 else scale[:, 0]
