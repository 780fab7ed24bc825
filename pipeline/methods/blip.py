"""Train a BLIP to caption as the captions of the training set do, such as those that people have reviewed.

`weights/blip` in the folder opens with `BlipForConditionalGeneration.from_pretrained`, and can be named as a
captioner's model; `weights/raw/blip` as in `full`.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from torch import Tensor
from torch.nn import functional
from transformers import BlipForConditionalGeneration, BlipProcessor

from pipeline.training import layers, loop, weights
from pipeline.training.job import Job
from pipeline.training.loop import Lesson
from pipeline.training.result import Result
from pipeline.training.settings import TrainSettings
from pipeline.trainset.pixels import PixelBatch, PixelExamples, shown

DESCRIPTION = "Train a BLIP to caption pictures as the training set's captions do."
LEARNS = "blip"
EXAMPLES = "pixels"

IGNORED = -100
"""Mark of tokens that are no lesson, as in transformers."""


def train(
    blip: BlipForConditionalGeneration,
    examples: PixelExamples,
    processor: BlipProcessor,
    settings: TrainSettings,
    job: Job,
) -> Result:
    """Train `blip` in place, where it lies, to the weights to use; for all else see `loop.run`."""

    def begin() -> Lesson:
        layers.thaw(blip, frozen=settings.freeze)
        if settings.gradient_checkpointing:
            blip.gradient_checkpointing_enable()

        def step_losses(batch: PixelBatch, turn: int, autocast: AbstractContextManager[None]) -> Tensor:  # noqa: ARG001
            return losses(blip, batch, processor, autocast=autocast)

        def save(target: Path, note: Mapping[str, str]) -> None:
            weights.save_model(blip, target / "blip", header=note)
            processor.save_pretrained(target / "blip")

        return Lesson(
            blip,
            step_losses,
            save,
            load=lambda source: weights.load_model(blip, source / "blip"),
        )

    return loop.run(begin, examples, settings, job, device=blip.device)


def load(blip: BlipForConditionalGeneration, folder: Path) -> BlipForConditionalGeneration:
    """The base model's `blip` with the trained weights in `folder` (a result's), where it lies."""
    weights.load_model(blip, folder / "blip")
    return blip


def losses(
    blip: BlipForConditionalGeneration,
    batch: PixelBatch,
    processor: BlipProcessor,
    *,
    autocast: AbstractContextManager[None] | None = None,
) -> Tensor:
    """Mean cross-entropy, in nats, of each caption's tokens after the start, B float32.

    The first token is the decoder's own start, as it is when BLIP generates.
    """
    text = processor.tokenizer(list(batch.captions), padding=True, truncation=True, return_tensors="pt")
    ids, mask = text.input_ids.to(blip.device), text.attention_mask.to(blip.device)
    ids[:, 0] = blip.config.text_config.bos_token_id
    pixels = shown(batch, processor, device=blip.device)
    with autocast or nullcontext():
        logits = blip(pixel_values=pixels, input_ids=ids, attention_mask=mask).logits
    after = ids[:, 1:].masked_fill(mask[:, 1:] == 0, IGNORED)
    errors = functional.cross_entropy(logits[:, :-1].float().mT, after, ignore_index=IGNORED, reduction="none")
    total: Tensor = errors.sum(dim=1) / (after != IGNORED).sum(dim=1)
    return total
