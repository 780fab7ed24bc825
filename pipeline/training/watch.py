"""Watches the losses of a training for an explosion."""

from collections import deque
from collections.abc import Iterable
from statistics import median

HIGH = 5
"""Losses in a row that have to be far too high: a single one may just have had a hard timestep."""
USUAL, LEAST = 100, 10
"""Losses before those whose median is the usual one, and how many it takes to know it."""


class Watch:
    """Knows the latest losses, those of an earlier life too, so that a training that goes on is judged the same.

    It has exploded where each of the latest HIGH losses is above `factor` times the median of the USUAL ones before
    them, or never, where that is None.
    """

    def __init__(self, losses: Iterable[float], *, factor: float | None) -> None:
        self._losses = deque(losses, maxlen=USUAL + HIGH)
        self._factor = factor

    def add(self, loss: float) -> None:
        """Take in the loss of the step just made."""
        self._losses.append(loss)

    def exploded(self) -> tuple[float, float] | None:
        """The least of the latest losses and the usual one, where the loss has exploded."""
        losses = list(self._losses)
        if self._factor is None or len(losses) < LEAST + HIGH:
            return None
        usual, least = median(losses[:-HIGH]), min(losses[-HIGH:])
        return (least, usual) if least > self._factor * usual else None
