"""Train every weight of the UNet: from a checkpoint, or from scratch.

`weights/unet` in the folder has the weights to use (averaged, where `ema_decay` is above 0), and then
`weights/raw/unet` the ones that the optimizer left; both open with `UNet2DConditionModel.from_pretrained`.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from diffusers import SchedulerMixin, UNet2DConditionModel

from pipeline.training import layers, loop, weights
from pipeline.training.data import Examples
from pipeline.training.denoising import Denoising
from pipeline.training.loop import Lesson
from pipeline.training.objective import Objective
from pipeline.training.record import Progress, unseen
from pipeline.training.result import Result
from pipeline.training.settings import TrainSettings

DESCRIPTION = "Train every weight of the UNet, from a checkpoint or from scratch."
LEARNS = "unet"
EXAMPLES = "latents"


def train(
    unet: UNet2DConditionModel,
    examples: Examples,
    scheduler: SchedulerMixin,
    settings: TrainSettings,
    *,
    folder: Path,
    say: Callable[[str], None],
    on_checkpoint: Callable[[int, UNet2DConditionModel], None] | None = None,
    header: Mapping[str, str] | None = None,
    progress: Progress = unseen,
) -> Result:
    """Train `unet` in place, where it lies, to the weights to use; for all else see `loop.run`."""

    def begin() -> Lesson:
        layers.thaw(unet, frozen=settings.freeze)
        if settings.gradient_checkpointing:
            unet.enable_gradient_checkpointing()
        objective = Objective.chosen(scheduler, settings)
        return Lesson(
            unet,
            losses=Denoising(unet, examples, objective, settings).losses,
            save=lambda target, note: weights.save_model(unet, target / "unet", header=note),
            load=lambda source: weights.load_model(unet, source / "unet"),
        )

    return loop.run(
        begin,
        examples,
        settings,
        device=unet.device,
        folder=folder,
        say=say,
        on_checkpoint=on_checkpoint,
        header=header,
        progress=progress,
    )


def load(unet: UNet2DConditionModel, folder: Path) -> UNet2DConditionModel:
    """The base model's `unet` with the trained weights in `folder` (a result's), where it lies."""
    weights.load_model(unet, folder / "unet")
    return unet
