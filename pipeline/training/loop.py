"""The one training loop: every method brings a model, the loss of a batch and the form of its weights."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.training import checkpoints, epochs, optimizers, schedules, weights
from pipeline.training.average import Average
from pipeline.training.data import Rows
from pipeline.training.gradients import Gradients, Losses
from pipeline.training.job import Job
from pipeline.training.record import Record
from pipeline.training.result import Result
from pipeline.training.session import session
from pipeline.training.settings import TrainSettings

RAW = "raw"
"""Folder, below that of the weights to use, of the weights that the optimizer left, where those to use are averaged."""


@dataclass(frozen=True)
class Lesson:
    """What a method brings to the loop.

    Those parameters of `model` are trained that want gradients. `save` writes them into a folder, with the header
    that it is given, and `load` reads them back into the model. `rates` gives parameters a factor of the learning rate,
    by the beginning of their names.
    """

    model: Any
    losses: Losses
    save: Callable[[Path, Mapping[str, str]], None]
    load: Callable[[Path], None]
    rates: Mapping[str, float] = field(default_factory=dict)


def run(
    begin: Callable[[], Lesson],
    examples: Rows,
    settings: TrainSettings,
    job: Job,
    *,
    device: Any,  # noqa: ANN401 - a torch.device, which diffusers' models do not declare
) -> Result:
    """Train the lesson's model in place, to the weights to use.

    `begin` makes the lesson within the training's own random state. Called again after it was stopped, the training
    goes on from the newest checkpoint and ends with the same weights. Raises GessoError where the loss is not finite,
    and InputError where the job's folder has checkpoints of another training.
    """
    begun, folder = time.monotonic(), job.folder
    each = epochs.batches(examples.sizes, examples.repeats, batch_size=settings.batch_size)
    settings = epochs.counted(settings, each)
    identity = checkpoints.identity(settings, digest=examples.digest, header=job.header)
    note = weights.header(settings, digest=examples.digest, more=job.header)
    saved = checkpoints.resume(folder, identity=identity, say=job.say)
    checkpoints.prune(folder, keep=settings.keep_checkpoints)
    done = saved.step if saved else 0
    with session(settings, device=device) as accelerator:
        lesson = begin()
        model = lesson.model.train()
        named = {name: one for name, one in model.named_parameters() if one.requires_grad}
        parameters = list(named.values())
        optimizer = accelerator.prepare_optimizer(optimizers.build(named, settings, lesson.rates))
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
        with Record(folder, done=done, steps=settings.steps, progress=job.progress) as record:
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
                    if job.on_checkpoint:
                        with average.applied():
                            job.on_checkpoint(step + 1, model.eval())
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
