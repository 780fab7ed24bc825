"""The one training loop: every method brings a model, the loss of a batch and the form of its weights."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.training import checkpoints, optimizers, schedules, weights
from pipeline.training.average import Average
from pipeline.training.data import Rows
from pipeline.training.gradients import Gradients, Losses
from pipeline.training.record import Progress, Record
from pipeline.training.result import Result
from pipeline.training.session import session
from pipeline.training.settings import TrainSettings

RAW = "raw"
"""Folder, below that of the weights to use, of the weights that the optimizer left, where those to use are averaged."""


@dataclass(frozen=True)
class Lesson:
    """What a method brings to the loop.

    Those parameters of `model` are trained that want gradients. `save` writes them into a folder, with the header
    that it is given, and `load` reads them back into the model.
    """

    model: Any
    losses: Losses
    save: Callable[[Path, Mapping[str, str]], None]
    load: Callable[[Path], None]


def run(
    begin: Callable[[], Lesson],
    examples: Rows,
    settings: TrainSettings,
    *,
    device: Any,  # noqa: ANN401 - a torch.device, which diffusers' models do not declare
    folder: Path,
    say: Callable[[str], None],
    on_checkpoint: Callable[[int, Any], None] | None,
    header: Mapping[str, str] | None,
    progress: Progress,
) -> Result:
    """Train the lesson's model in place, to the weights to use; weights, metrics and checkpoints go to `folder`.

    `begin` makes the lesson within the training's own random state. Called again after it was stopped, the training
    goes on from the newest checkpoint and ends with the same weights. `on_checkpoint` gets the number of steps done and
    the model with the weights to use; it comes before the checkpoint is written, so one that failed is repeated.
    `header` tells what the training started from (nothing that changes from call to call): it goes into the weights'
    header and is part of the training's identity. Raises GessoError where the loss is not finite, and InputError where
    `folder` has checkpoints of another training.
    """
    begun = time.monotonic()
    identity = checkpoints.identity(settings, digest=examples.digest, header=header or {})
    note = weights.header(settings, digest=examples.digest, more=header or {})
    saved = checkpoints.resume(folder, identity=identity, say=say)
    checkpoints.prune(folder, keep=settings.keep_checkpoints)
    done = saved.step if saved else 0
    with session(settings, device=device) as accelerator:
        lesson = begin()
        model = lesson.model.train()
        parameters = [one for one in model.parameters() if one.requires_grad]
        optimizer = accelerator.prepare_optimizer(optimizers.build(parameters, settings))
        if saved:
            lesson.load(saved.folder)
        average = Average(parameters, decay=settings.ema_decay, step=done)
        if saved:
            if average:
                lesson.load(saved.folder / RAW)
            optimizers.load_state(accelerator, optimizer, saved.state())

        def write_weights(target: Path) -> None:
            if average:
                lesson.save(target / RAW, note)
            with average.applied():
                lesson.save(target, note)

        gradients = Gradients(accelerator, examples, lesson.losses, settings, folder)
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
                            on_checkpoint(step + 1, model.eval())
                        model.train()
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
        model.eval()
    return Result(folder / "weights", settings.steps, record.losses(), time.monotonic() - begun)
