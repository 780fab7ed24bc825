"""Teach the UNet a subject from a few pictures, beside class pictures that keep what it knew (Ruiz et al. 2022).

It is `lora` or `full`, as `adapts` says, with class pictures: those of the sources with `role: prior`, a person's own
or painted by the base model itself. A step's loss is mean(subject) + prior_weight * mean(class), see
`Denoising.losses`. The folder has what `lora` or `full` write.
"""

from pathlib import Path

from diffusers import SchedulerMixin

from pipeline.errors import RecipeError
from pipeline.methods import full, lora
from pipeline.training import weights
from pipeline.training.data import Examples
from pipeline.training.job import Job
from pipeline.training.painter import Painter
from pipeline.training.result import Result
from pipeline.training.settings import TrainSettings

DESCRIPTION = "Teach a subject from a few pictures, with class pictures that keep what the model knew."
LEARNS = "unet"
EXAMPLES = "latents"


def train(
    painter: Painter,
    examples: Examples,
    scheduler: SchedulerMixin,
    settings: TrainSettings,
    job: Job,
) -> Result:
    """Train as `lora` or `full` does.

    Raises:
        RecipeError: class pictures are to be learned from, and there are none.
    """
    if examples.prior is None and settings.prior_weight:
        raise RecipeError(
            "there are no class pictures",
            field="train.prior_weight",
            value=settings.prior_weight,
            remedy="Add a source with role: prior (with painted: {prompts: [a photo of a dog]} the base model paints "
            "them), or train without by train.prior_weight=0.",
        )
    if settings.adapts == "lora":
        return lora.train(painter, examples, scheduler, settings, job)
    return full.train(painter, examples, scheduler, settings, job)


def load(painter: Painter, folder: Path) -> Painter:
    """The base model's painter with the trained weights in `folder` (a result's), where it lies."""
    if (folder / weights.LORA_FILE).exists():
        return lora.load(painter, folder)
    return full.load(painter, folder)
