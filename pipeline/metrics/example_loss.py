"""The training's own loss of each picture, with nothing drawn at random: for methods that train on pixels."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from pipeline.trainset.pixels import PixelBatch, PixelExamples

DESCRIPTION = "The method's own loss of each picture, with nothing drawn; held-out and training pictures apart."
UNIT = "the method's: L1 + MSE and a little KL (vae), nats (clip), nats a token (blip)"
HIGHER_IS_BETTER = False

BATCH = 64
"""Pictures at a time; a CLIP's loss is among them."""


@torch.no_grad()
def measure(losses: Callable[[PixelBatch], Tensor], examples: PixelExamples) -> list[float]:
    """The loss of each row of `examples`, in their order; `losses` gives those of a batch."""
    found: dict[int, float] = {}
    for rows in batches(examples):
        found.update(zip(rows, losses(examples.batch(rows)).tolist(), strict=True))
    return [found[row] for row in range(len(examples.rows))]


def batches(examples: Any, *, size: int = BATCH) -> list[Sequence[int]]:  # noqa: ANN401 - anything that has sizes
    """All rows in their order, in batches of one size each."""
    by_size: dict[tuple[int, int], list[int]] = {}
    for row, one in enumerate(examples.sizes):
        by_size.setdefault(one, []).append(row)
    return [same[start : start + size] for same in by_size.values() for start in range(0, len(same), size)]
