"""The numbers of each step, read when the device has them: refused where not finite, recorded, watched."""

from collections import deque
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import GessoError
from pipeline.training import checkpoints
from pipeline.training.gradients import Gradients, Launched
from pipeline.training.later import Later
from pipeline.training.record import Record
from pipeline.training.watch import HIGH, Watch


@dataclass(frozen=True)
class Taken:
    """A step (from 0) as the device was given it: its learning rate, its passes, and its gradient's norm."""

    step: int
    rate: float
    launched: Launched
    norm: Later


class Numbers:
    """Reads steps one after the other, and where it `lags` each after the next was launched.

    A GPU that is read at once has nothing to do until the host has launched more; so there a loss that is not finite is
    found a step late, before anything is saved of it.
    """

    def __init__(self, gradients: Gradients, record: Record, watch: Watch, *, folder: Path, lags: bool) -> None:
        self._gradients, self._record, self._watch, self._folder = gradients, record, watch, folder
        self._lags = lags
        self._waiting = deque[Taken]()
        self._seen: tuple[float, float] | None = None

    def look(self, taken: Taken) -> None:
        """Before the step's update: see that its numbers are finite, unless that would take a wait.

        Raises:
            GessoError: they are not.
        """
        if not self._lags:
            self._seen = self._read(taken)

    def add(self, taken: Taken) -> None:
        """After the update: record the step, or where it lags the one before.

        Raises:
            GessoError: a loss or norm is not finite, or the loss has exploded.
        """
        self._waiting.append(taken)
        while len(self._waiting) > self._lags:
            self._take(self._waiting.popleft())

    def flush(self) -> None:
        """Record all steps that were added; see `add`."""
        while self._waiting:
            self._take(self._waiting.popleft())

    def _read(self, taken: Taken) -> tuple[float, float]:
        loss, (norm,) = self._gradients.loss(taken.launched), taken.norm.read()
        self._gradients.refuse_norm(taken.step, norm)
        return loss, norm

    def _take(self, taken: Taken) -> None:
        loss, norm = self._seen or self._read(taken)
        self._seen = None
        self._record.add(taken.step + 1, loss=loss, learning_rate=taken.rate, grad_norm=norm)
        self._watch.add(loss)
        if rise := self._watch.exploded():
            team = self._gradients.team
            if team.leads:
                checkpoints.distrust(self._folder, after=taken.step + 1 - HIGH)
            team.wait()
            raise GessoError(self._exploded(taken.step, rise))

    def _exploded(self, step: int, rise: tuple[float, float]) -> str:
        """What is to be said of an explosion."""
        least, usual = rise
        first = step + 1 - HIGH
        seen = "; ".join(f"step {at + 1}: {self._gradients.pictures(at)}" for at in range(first, step + 1))
        return (
            f"the loss exploded: in each of the steps {first + 1} to {step + 1} it was {least:.4g} or more, where "
            f"{usual:.4g} was usual. Their pictures: {seen}. {self._gradients.advice()} "
            "train.max_loss_rise=null goes on regardless."
        )
