"""Train a CLIP on pictures and their captions, from a checkpoint or from scratch (Radford et al. 2021).

`weights/clip` in the folder opens with `CLIPModel.from_pretrained`, and can be named wherever a recipe names a CLIP;
`weights/raw/clip` as in `full`.
"""

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from transformers import CLIPModel, CLIPProcessor

from pipeline.training import layers, loop, weights
from pipeline.training.job import Job
from pipeline.training.loop import Lesson
from pipeline.training.result import Result
from pipeline.training.settings import TrainSettings
from pipeline.trainset.pixels import PixelBatch, PixelExamples, shown

DESCRIPTION = "Train a CLIP to tell which caption belongs to which picture."
LEARNS = "clip"
EXAMPLES = "pixels"

MOST_SCALE = 100.0
"""The logits' scale is held at or below this (Radford et al. 2021, section 2.5)."""


def train(
    clip: CLIPModel,
    examples: PixelExamples,
    processor: CLIPProcessor,
    settings: TrainSettings,
    job: Job,
) -> Result:
    """Train `clip` in place, where it lies, to the weights to use; for all else see `loop.run`.

    A picture is told apart from those of its own micro-batch: a larger `batch_size` is a harder lesson, and
    `gradient_accumulation` makes it no harder.
    """

    def begin() -> Lesson:
        layers.thaw(clip, frozen=settings.freeze)
        if settings.gradient_checkpointing:
            clip.gradient_checkpointing_enable()

        def step_losses(batch: PixelBatch, turn: int, autocast: AbstractContextManager[None]) -> Tensor:  # noqa: ARG001
            with torch.no_grad():  # the parameter, not its use: a clamped value has no gradient, and would stay
                clip.logit_scale.clamp_(max=math.log(MOST_SCALE))
            return losses(clip, batch, processor, autocast=autocast)

        def save(target: Path, note: Mapping[str, str]) -> None:
            weights.save_model(clip, target / "clip", header=note)
            processor.save_pretrained(target / "clip")

        return Lesson(
            clip,
            step_losses,
            save,
            load=lambda source: weights.load_model(clip, source / "clip"),
        )

    return loop.run(begin, examples, settings, job, device=clip.device)


def load(clip: CLIPModel, folder: Path) -> CLIPModel:
    """The base model's `clip` with the trained weights in `folder` (a result's), where it lies."""
    weights.load_model(clip, folder / "clip")
    return clip


def losses(
    clip: CLIPModel,
    batch: PixelBatch,
    processor: CLIPProcessor,
    *,
    autocast: AbstractContextManager[None] | None = None,
) -> Tensor:
    """The contrastive loss of each example among those of the batch, B float32."""
    text = processor.tokenizer(list(batch.captions), padding=True, truncation=True, return_tensors="pt")
    with autocast or nullcontext():
        made = clip(pixel_values=shown(batch, processor, device=clip.device), **text.to(clip.device))
    scale = clip.logit_scale.exp()
    return contrast(scale * made.text_embeds.float() @ made.image_embeds.float().T, batch.captions)


def contrast(logits: Tensor, captions: Sequence[str]) -> Tensor:
    """Mean of both directions' cross-entropies of B x B logits (captions by pictures), for each example.

    Where several pictures have the same caption, any of them is right for it (Yang et al. 2022, UniCL, equation 3);
    else it is CLIP's own loss.
    """
    numbers = torch.tensor([captions.index(one) for one in captions], device=logits.device)
    same = (numbers[:, None] == numbers[None, :]).float()
    right = same / same.sum(dim=1, keepdim=True)
    there = functional.cross_entropy(logits, right, reduction="none")
    back = functional.cross_entropy(logits.T, right, reduction="none")
    return (there + back) / 2
