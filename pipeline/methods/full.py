"""Train every weight of the UNet: from a checkpoint, or from scratch.

`weights/unet` in the folder has the weights to use (averaged, where `ema_decay` is above 0), and then
`weights/unet_raw` the ones that the optimizer left; both open with `UNet2DConditionModel.from_pretrained`.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from diffusers import SchedulerMixin, UNet2DConditionModel

from pipeline.training import checkpoints, optimizers, schedules, weights
from pipeline.training.average import Average
from pipeline.training.data import Examples
from pipeline.training.gradients import Gradients
from pipeline.training.objective import Objective
from pipeline.training.record import Progress, Record, unseen
from pipeline.training.result import Result
from pipeline.training.session import session
from pipeline.training.settings import TrainSettings

DESCRIPTION = "Train every weight of the UNet, from a checkpoint or from scratch."


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
    """Train `unet` in place, where it lies, to the weights to use; weights, metrics and checkpoints go to `folder`.

    Called again after it was stopped, it goes on from the newest checkpoint and ends with the same weights.
    `on_checkpoint` gets the number of steps done and the UNet with the weights to use; it comes before the checkpoint
    is written, so one that failed is repeated. `header` tells what the training started from (nothing that changes
    from call to call): it goes into the weights' header and is part of the training's identity. Raises GessoError
    where the loss is not finite, and InputError where `folder` has checkpoints of another training.
    """
    begun = time.monotonic()
    identity = checkpoints.identity(settings, digest=examples.digest, header=header or {})
    note = weights.header(settings, digest=examples.digest, more=header or {})
    objective = Objective.of(scheduler, gamma=settings.min_snr_gamma)
    saved = checkpoints.resume(folder, identity=identity, say=say)
    done = saved.step if saved else 0
    with session(settings, device=unet.device) as accelerator:
        unet.float().requires_grad_(True).train()  # noqa: FBT003 - torch's own signature
        if settings.gradient_checkpointing:
            unet.enable_gradient_checkpointing()
        parameters = list(unet.parameters())
        optimizer = accelerator.prepare_optimizer(optimizers.build(parameters, settings))
        if saved:
            weights.load_unet(unet, saved.folder / "unet")
        average = Average(parameters, decay=settings.ema_decay, step=done)
        if saved:
            if average:
                weights.load_unet(unet, saved.folder / "unet_raw")
            optimizers.load_state(accelerator, optimizer, saved.state())

        def write_weights(target: Path) -> None:
            if average:
                weights.save_unet(unet, target / "unet_raw", header=note)
            with average.applied():
                weights.save_unet(unet, target / "unet", header=note)

        gradients = Gradients(accelerator, unet, examples, objective, settings, folder)
        with Record(folder, done=done, steps=settings.steps, progress=progress) as record:
            for step in range(done, settings.steps):
                rate = settings.learning_rate * schedules.factor(step, settings)
                optimizers.set_rate(optimizer, rate)
                loss = gradients.accumulate(step)
                norm = optimizers.clip(accelerator, optimizer, limit=settings.max_grad_norm)
                optimizer.step()
                optimizer.zero_grad()
                average.update()
                record.add(step + 1, loss=loss, learning_rate=rate, grad_norm=norm)
                if checkpoints.due(step + 1, settings):
                    if on_checkpoint:
                        with average.applied():
                            on_checkpoint(step + 1, unet.eval())
                        unet.train()
                    record.save()
                    checkpoints.write(
                        folder,
                        step + 1,
                        weights=write_weights,
                        state=optimizers.state(accelerator, optimizer),
                        identity=identity,
                        keep=settings.keep_checkpoints,
                    )
        checkpoints.commit(folder / "weights", write_weights)
        average.apply()
        unet.eval()
    return Result(folder / "weights", settings.steps, record.losses(), time.monotonic() - begun)


def load(unet: UNet2DConditionModel, folder: Path) -> UNet2DConditionModel:
    """The base model's `unet` with the trained weights in `folder` (a result's), where it lies."""
    weights.load_unet(unet, folder / "unet")
    return unet
