"""Train every weight of the UNet, from a checkpoint or from scratch, and on request the text encoders along with it.

`weights/unet` in the folder has the weights to use (averaged, where `ema_decay` is above 0), and then
`weights/raw/unet` the ones that the optimizer left; both open with `UNet2DConditionModel.from_pretrained`. Text
encoders that were trained lie beside them under their folders' names, such as `weights/text_encoder`.
"""

from collections.abc import Mapping
from pathlib import Path

from diffusers import SchedulerMixin

from pipeline.training import layers, loop, weights
from pipeline.training.data import Examples
from pipeline.training.denoising import Denoising
from pipeline.training.job import Job
from pipeline.training.loop import Lesson
from pipeline.training.objective import Objective
from pipeline.training.painter import Painter
from pipeline.training.result import Result
from pipeline.training.settings import TrainSettings

DESCRIPTION = "Train every weight of the UNet, from a checkpoint or from scratch."
LEARNS = "unet"
EXAMPLES = "latents"


def train(
    painter: Painter,
    examples: Examples,
    scheduler: SchedulerMixin,
    settings: TrainSettings,
    job: Job,
) -> Result:
    """Train the painter's models in place, where they lie, to the weights to use; for all else see `loop.run`."""

    def begin() -> Lesson:
        layers.thaw(painter.unet, frozen=settings.freeze)
        if painter.texts is not None:
            layers.thaw(painter.texts, frozen=())
        if settings.gradient_checkpointing:
            painter.save_memory()
        objective = Objective.chosen(scheduler, settings)
        denoising = Denoising(painter, examples, objective, settings)
        return Lesson(
            painter,
            losses=denoising.losses,
            draw=denoising.draw,
            splits=True,
            save=lambda target, note: _save(painter, target, note),
            load=lambda source: _load(painter, source),
            rates=settings.rates,
        )

    return loop.run(begin, examples, settings, job, device=painter.device)


def load(painter: Painter, folder: Path) -> Painter:
    """The base model's painter with the trained weights in `folder` (a result's), where it lies."""
    _load(painter, folder)
    return painter


def _save(painter: Painter, folder: Path, header: Mapping[str, str]) -> None:
    for name, model in painter.parts.items():
        weights.save_model(model, folder / name, header=header)


def _load(painter: Painter, folder: Path) -> None:
    for name, model in painter.parts.items():
        weights.load_model(model, folder / name)
