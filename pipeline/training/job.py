"""Where a training's files go, and who hears of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.training.boards import Seen
from pipeline.training.record import Progress, unseen


def unheard(words: str) -> None:
    """What is said where nobody listens."""


@dataclass(frozen=True)
class Job:
    """One training: weights, metrics and checkpoints go to `folder`.

    `on_checkpoint` gets the number of steps done and the model with the weights to use; it comes before the checkpoint
    is written, so one that failed is repeated; what it saw is shown beside the losses, as is what was seen `before` the
    first step. `header` tells what the training started from (nothing that changes from
    call to call): it goes into the weights' header and is part of the training's identity. `name` makes of a
    sample's id what a person knows it by, such as its file's name, for messages.
    """

    folder: Path
    say: Callable[[str], None] = unheard
    on_checkpoint: Callable[[int, Any], Seen | None] | None = None
    before: Seen | None = None
    header: Mapping[str, str] = field(default_factory=dict)
    progress: Progress = unseen
    name: Callable[[str], str] = str
