"""The families of base models that gesso trains: how their folders are told apart, and what a UNet of each is told.

A later family is one more line of `FAMILIES`; what it needs beyond these facts is missing where they are asked for.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import ModelError


@dataclass(frozen=True)
class Family:
    """What members of a family share.

    `pipelines` are the classes that a folder's model_index.json may name, `text_encoders` the folders of the encoders
    in the order in which their answers are put side by side; each has its tokenizer, see `tokenizer_of`.
    """

    name: str
    title: str
    pipelines: tuple[str, ...]
    text_encoders: tuple[str, ...]
    penultimate: bool
    """Whether the UNet reads the text encoders' last hidden state but one, without final norm, not their last."""
    told_sizes: bool
    """Whether the UNet is told the caption's summary, the picture's size and how it was cut, too (text_time)."""
    advised: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Settings of the training that the family's guides set by method, where they are others than the method's own."""


SD = Family(
    "sd",
    "Stable Diffusion 1 or 2",
    ("StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline"),
    ("text_encoder",),
    penultimate=False,
    told_sizes=False,
)
SDXL = Family(
    "sdxl",
    "Stable Diffusion XL",
    ("StableDiffusionXLPipeline",),
    ("text_encoder", "text_encoder_2"),
    penultimate=True,
    told_sizes=True,
    advised={
        # diffusers' guide: 1e-4; sd-scripts' page on SDXL: text encoders 1e-5, dim 32
        "lora": {"learning_rate": 1e-4, "text_encoder_lr": 1e-5, "rank": 32},
        # OneTrainer's preset for SDXL: 1e-6; Podell et al. 2023: 20 % empty captions
        "full": {"learning_rate": 1e-6, "caption_dropout": 0.2},
        "dreambooth, full": {"learning_rate": 1e-6},
        # diffusers' guide: 3e-4; OneTrainer's preset: a warm-up of 20 steps
        "textual_inversion": {"learning_rate": 3e-4, "warmup_steps": 20},
    },
)
FAMILIES = (SD, SDXL)


def of(folder: Path, *, field: str = "base_model.id") -> Family:
    """The family of a base model's folder.

    Raises:
        ModelError: it is none of those known, such as SDXL's refiner or a model that is no Stable Diffusion.
    """
    name = str(_index(folder).get("_class_name", ""))
    for family in FAMILIES:
        if name in family.pipelines:
            return family
    raise ModelError(
        "models of this family are not supported yet",
        field=field,
        value=name,
        remedy=f"Take one of {', or of '.join(family.title for family in FAMILIES)}.",
    )


def tokenizer_of(text_encoder: str) -> str:
    """The folder of a text encoder's tokenizer: `tokenizer_2` for `text_encoder_2`."""
    return text_encoder.replace("text_encoder", "tokenizer")


def nothing_is_zeros(folder: Path) -> bool:
    """Whether zeros stand for no caption, as SDXL was trained, and not the encoders' answer to an empty one.

    A folder says so by `force_zeros_for_empty_prompt`; where it does not, it is diffusers' default for SDXL.
    """
    return of(folder) is SDXL and bool(_index(folder).get("force_zeros_for_empty_prompt", True))


def _index(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "model_index.json").read_text(encoding="utf-8")))
