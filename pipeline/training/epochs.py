"""Epochs as steps: a training that goes so many times through its training set."""

import math
from collections import Counter
from collections.abc import Sequence

from pipeline.training.settings import TrainSettings


def batches(sizes: Sequence[tuple[int, int]], repeats: Sequence[int], *, batch_size: int) -> int:
    """How many batches `data.order` makes of an epoch, each of one size and the last of a size maybe short."""
    rows: Counter[tuple[int, int]] = Counter()
    for size, times in zip(sizes, repeats, strict=True):
        rows[size] += times
    return sum(math.ceil(count / batch_size) for count in rows.values())


def counted(settings: TrainSettings, batches: int) -> TrainSettings:
    """The settings with their epochs as steps, of a training set that makes `batches` an epoch.

    The last step is the one that ends the last epoch; with gradient accumulation it may take in the first batches of
    one more. They are the settings of the same training told in steps, which therefore has the same name.
    """
    if settings.epochs is None:
        return settings
    steps = math.ceil(settings.epochs * batches / settings.gradient_accumulation)
    return settings.model_copy(update={"steps": steps, "epochs": None})
