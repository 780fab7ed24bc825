"""Learn a new word for a subject or a style (Gal et al. 2022): one or several vectors, and nothing else changes.

`weights/learned_embeds.safetensors` in the folder has the vectors to use (averaged, where `ema_decay` is above 0, and
then `weights/raw` those that the optimizer left). It opens with `load_textual_inversion` of diffusers' pipelines and in
the web UIs. Captions and prompts name the subject by `train.placeholder`.
"""

from pathlib import Path

from diffusers import SchedulerMixin
from safetensors import safe_open

from pipeline.errors import RecipeError
from pipeline.original import kinds
from pipeline.training import loop, modelspec, placeholders
from pipeline.training.data import Examples
from pipeline.training.denoising import Denoising
from pipeline.training.job import Job
from pipeline.training.loop import Lesson
from pipeline.training.objective import Objective
from pipeline.training.painter import Painter, TextEncoders
from pipeline.training.result import Result
from pipeline.training.settings import TrainSettings

DESCRIPTION = "Learn a new word for a subject or style: a few vectors, in a file of a few KB."
LEARNS = "unet"
EXAMPLES = "latents"
READS_CAPTIONS = True

LOOKED_AT = 16
"""Captions that are looked at for the new word before the training begins."""


def train(
    painter: Painter,
    examples: Examples,
    scheduler: SchedulerMixin,
    settings: TrainSettings,
    job: Job,
) -> Result:
    """Teach the painter's text encoders the new word, where they lie; for all else see `loop.run`.

    Raises:
        RecipeError: the settings name no placeholder, a tokenizer knows it already, or no caption has it.
    """
    texts, word = _texts(painter), settings.placeholder
    _check_captions(examples, word)

    def begin() -> Lesson:
        painter.requires_grad_(False)  # noqa: FBT003 - torch's own signature
        placeholders.add(texts, word, vectors=settings.vectors, words=settings.initial_words)
        if settings.gradient_checkpointing:
            painter.save_memory()
        objective = Objective.chosen(scheduler, settings)
        spec = modelspec.of(
            kinds.of_unet(painter.unet.config),
            "textual-inversion",
            layout="kohya",
            prediction=scheduler.config.prediction_type,
        ) | {"modelspec.trigger_phrase": word}
        denoising = Denoising(painter, examples, objective, settings)
        return Lesson(
            painter,
            losses=denoising.losses,
            draw=denoising.draw,
            splits=True,
            save=lambda target, note: placeholders.save(texts, target, placeholder=word, header={**spec, **note}),
            load=lambda source: placeholders.load(texts, source, placeholder=word),
        )

    return loop.run(begin, examples, settings, job, device=painter.device)


def load(painter: Painter, folder: Path) -> Painter:
    """The base model's painter with the trained word in `folder` (a result's), where it lies."""
    with safe_open(folder / placeholders.FILE, "pt") as file:
        word = file.metadata()["gesso_placeholder"]
    placeholders.load(_texts(painter), folder, placeholder=word)
    return painter


def _texts(painter: Painter) -> TextEncoders:
    if painter.texts is None:
        raise ValueError("a new word is learned by text encoders that are at work")
    return painter.texts


def _check_captions(examples: Examples, word: str) -> None:
    some = range(min(LOOKED_AT, len(examples.sizes)))
    captions = [caption for row in some for caption in examples.batch([row]).captions]
    if not word or not any(word in caption for caption in captions):
        raise RecipeError(
            "captions do not have the new word",
            field="train.placeholder",
            value=word or None,
            remedy="Set it, such as to <my-robot>, give the source the same trigger, and let caption.compose say "
            "{trigger}.",
        )
