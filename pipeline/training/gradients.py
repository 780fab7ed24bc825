"""The gradient of one step: the mean over all examples of its micro-batches."""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from pipeline.errors import GessoError
from pipeline.training import checkpoints
from pipeline.training.data import Rows, Turns
from pipeline.training.noise import seed_of
from pipeline.training.settings import TrainSettings

DROPOUT = 1
"""Marks the seed of a turn's dropout, apart from that of its noise."""

Losses = Callable[[Any, int, AbstractContextManager[None]], Tensor]
"""The loss of each example of a batch (B float32), by the batch, its turn, and the context for the model's own pass."""


@dataclass
class Gradients:
    """Computes the gradients of a training's steps; `folder` is the training's own, for messages."""

    accelerator: Accelerator
    examples: Rows
    losses: Losses
    settings: TrainSettings
    folder: Path
    turns: Turns = field(init=False)

    def __post_init__(self) -> None:
        self.turns = Turns(self.examples, batch_size=self.settings.batch_size, seed=self.settings.seed)

    def accumulate(self, step: int) -> float:
        """Add the gradient of step `step` (from 0) to the parameters, and return the step's mean loss.

        Every example weighs the same, also where the last batch of a bucket is short. The losses leave the device once
        a step, after all its passes were launched. Raises GessoError where one is not finite, naming its batch.
        """
        first = step * self.settings.gradient_accumulation
        batches = {turn: self.turns.rows(turn) for turn in range(first, first + self.settings.gradient_accumulation)}
        count = sum(len(rows) for rows in batches.values())
        passes: list[tuple[Sequence[str], Tensor]] = []
        for turn, rows in batches.items():
            batch = self.examples.batch(rows)
            # dropout inside the model reads the global stream, which must not repeat the noise's
            seed = seed_of(self.settings.seed, turn, DROPOUT)
            torch.default_generator.manual_seed(seed)
            if self.accelerator.device.type == "cuda":
                torch.cuda.manual_seed(seed)
            losses = self.losses(batch, turn, self.accelerator.autocast())
            self.accelerator.backward(losses.sum() / count)
            passes.append((batch.ids, losses.detach()))
        total = math.fsum(torch.cat([losses for _, losses in passes]).tolist())
        if not math.isfinite(total):
            raise GessoError(self._not_finite(step, passes))
        return total / count

    def _not_finite(self, step: int, passes: Sequence[tuple[Sequence[str], Tensor]]) -> str:
        ids, losses = next((ids, losses) for ids, losses in passes if not losses.isfinite().all())
        bad = [name for name, loss in zip(ids, losses.tolist(), strict=True) if not abs(loss) < float("inf")]
        good = checkpoints.latest(self.folder)
        return (
            f"the loss of step {step + 1} is not finite for {', '.join(bad)} (whole batch: {', '.join(ids)}). "
            f"The last good checkpoint is {good.folder if good else 'none'}. "
            "Lower the learning rate, or train in bf16 or without mixed precision."
        )
