"""The one training loop: every method brings a model, the loss of a batch and the form of its weights."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline import stopping
from pipeline.training import checkpoints, epochs, optimizers, schedules, weights
from pipeline.training.ahead import Ahead, nothing
from pipeline.training.average import Average
from pipeline.training.data import Rows
from pipeline.training.gradients import Gradients, Losses
from pipeline.training.job import Job
from pipeline.training.later import Later
from pipeline.training.numbers import Numbers, Taken
from pipeline.training.record import Record
from pipeline.training.result import Result
from pipeline.training.session import session
from pipeline.training.settings import TrainSettings
from pipeline.training.team import Team
from pipeline.training.watch import Watch

RAW = "raw"
"""Folder, below that of the weights to use, of the weights that the optimizer left, where those to use are averaged."""


@dataclass(frozen=True)
class Lesson:
    """What a method brings to the loop.

    Those parameters of `model` are trained that want gradients. `save` writes them into a folder, with the header
    that it is given, and `load` reads them back into the model. `rates` gives parameters a factor of the learning rate,
    by the beginning of their names. Where `splits` is true, an example's loss does not depend on the rest of its batch,
    and `losses` gives those of a `part` of it, too. What `draw` makes of a batch and its turn, in a thread of its own
    and a turn ahead, `losses` gets as `drawn`, unless it is None.
    """

    model: Any
    losses: Losses
    save: Callable[[Path, Mapping[str, str]], None]
    load: Callable[[Path], None]
    rates: Mapping[str, float] = field(default_factory=dict)
    splits: bool = False
    draw: Callable[[Any, int], Any] = nothing


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
    goes on from the newest checkpoint and ends with the same weights. Raises GessoError where the loss or its
    gradient is not finite, or the loss explodes, and InputError where the job's folder has checkpoints of another
    training.
    """
    begun, folder = time.monotonic(), job.folder
    each = epochs.batches(examples.sizes, examples.repeats, batch_size=settings.batch_size)
    settings = epochs.counted(settings, each)
    identity = checkpoints.identity(settings, digest=examples.digest, header=job.header)
    note = weights.header(settings, digest=examples.digest, more=job.header)
    team = Team.here()
    if team.leads:
        saved = checkpoints.resume(folder, identity=identity, say=job.say)
        checkpoints.prune(folder, keep=settings.keep_checkpoints)
    team.wait()
    if not team.leads:
        saved = checkpoints.latest(folder)
    done = saved.step if saved else 0
    with session(settings, device=device) as accelerator:
        lesson = begin()
        team.check(splits=lesson.splits)
        model = lesson.model.train()
        named = {name: one for name, one in model.named_parameters() if one.requires_grad}
        parameters = list(named.values())
        optimizer = optimizers.scaled(accelerator, optimizers.build(named, settings, lesson.rates))
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

        on_gpu = accelerator.device.type == "cuda"
        title = job.header.get("gesso_recipe", "")
        with (
            Ahead(examples, settings, lesson.draw, beside=on_gpu) as ahead,
            Record(folder, settings, done=done, progress=job.progress, writes=team.leads, title=title) as record,
        ):
            if not done:
                record.seen(0, job.before)
            gradients = Gradients(
                accelerator,
                examples,
                lesson.losses,
                settings,
                folder,
                job=job,
                splits=lesson.splits,
                parameters=parameters,
                team=team,
                ahead=ahead,
            )
            watch = Watch(record.losses(), factor=settings.max_loss_rise)
            numbers = Numbers(gradients, record, watch, folder=folder, lags=on_gpu)
            for step in range(done, settings.steps):
                rate = settings.learning_rate * schedules.factor(step, settings)
                optimizers.set_rate(optimizer, rate)
                launched = gradients.fitting(step)
                norm = optimizers.clip(accelerator, optimizer, limit=settings.max_grad_norm)
                taken = Taken(step, rate, launched, Later(norm))
                numbers.look(taken)
                optimizer.step()
                optimizer.zero_grad()
                average.update()
                numbers.add(taken)
                team.agree_to_stop()
                if not checkpoints.due(step + 1, settings):
                    continue
                numbers.flush()
                if not team.leads:
                    stopping.heed()
                else:
                    if job.on_checkpoint:
                        with average.applied():
                            record.seen(step + 1, job.on_checkpoint(step + 1, model.eval()))
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
        if team.leads:
            checkpoints.commit(folder / "weights", write_weights)
        team.wait()
        average.apply()
        model.eval()
    return Result(folder / "weights", settings.steps, record.losses(), time.monotonic() - begun)
