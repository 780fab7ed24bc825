"""What a training hands back."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Result:
    """A finished training: `folder` holds the weights, `losses` has the mean loss of every step from the first.

    `seconds` is the time this call took; a resumed training counts only what it did itself.
    """

    folder: Path
    steps: int
    losses: tuple[float, ...]
    seconds: float
