"""The gradient of one step: the mean over all examples of its micro-batches."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from pipeline.errors import GessoError
from pipeline.training import checkpoints
from pipeline.training.data import Batch, Examples, Turns
from pipeline.training.noise import draw, seed_of
from pipeline.training.objective import Objective
from pipeline.training.settings import TrainSettings

DROPOUT = 1
"""Marks the seed of a turn's dropout, apart from that of its noise."""


@dataclass
class Gradients:
    """Computes the gradients of a training's steps; `folder` is the training's own, for messages.

    Raises ValueError where the settings ask for zero terminal SNR and the objective's schedule does not have it.
    """

    accelerator: Accelerator
    unet: Any
    examples: Examples
    objective: Objective
    settings: TrainSettings
    folder: Path
    turns: Turns = field(init=False)

    def __post_init__(self) -> None:
        if self.settings.zero_terminal_snr and self.objective.alphas[-1] > 0:
            raise ValueError("zero_terminal_snr needs a scheduler made with rescale_betas_zero_snr")
        self.objective = self.objective.to(self.accelerator.device)
        self.turns = Turns(self.examples, batch_size=self.settings.batch_size, seed=self.settings.seed)

    def accumulate(self, step: int) -> float:
        """Add the gradient of step `step` (from 0) to the parameters, and return the step's mean loss.

        Every example weighs the same, also where the last batch of a bucket is short. The losses leave the device once
        a step, after all its passes were launched. Raises GessoError where one is not finite, naming its batch.
        """
        first = step * self.settings.gradient_accumulation
        batches = {turn: self.turns.rows(turn) for turn in range(first, first + self.settings.gradient_accumulation)}
        count = sum(len(rows) for rows in batches.values())
        passes: list[tuple[Batch, Tensor]] = []
        for turn, rows in batches.items():
            batch = self.examples.batch(rows)
            losses = self._losses(batch, turn)
            self.accelerator.backward(losses.sum() / count)
            passes.append((batch, losses.detach()))
        total = math.fsum(torch.cat([losses for _, losses in passes]).tolist())
        if not math.isfinite(total):
            raise GessoError(self._not_finite(step, passes))
        return total / count

    def _losses(self, batch: Batch, turn: int) -> Tensor:
        drawn = draw(
            batch,
            self.examples,
            seed=self.settings.seed,
            turn=turn,
            timesteps=len(self.objective.alphas),
            noise_offset=self.settings.noise_offset,
            caption_dropout=self.settings.caption_dropout,
        ).to(self.accelerator.device)
        noisy = self.objective.noised(drawn.latents, drawn.noise, drawn.timesteps)
        # dropout inside the model reads the global stream, which must not repeat the noise's
        seed = seed_of(self.settings.seed, turn, DROPOUT)
        torch.default_generator.manual_seed(seed)
        if self.accelerator.device.type == "cuda":
            torch.cuda.manual_seed(seed)
        with self.accelerator.autocast():
            answer = self.unet(noisy, drawn.timesteps, encoder_hidden_states=drawn.text).sample
        return self.objective.losses(answer, drawn.latents, drawn.noise, drawn.timesteps)

    def _not_finite(self, step: int, passes: Sequence[tuple[Batch, Tensor]]) -> str:
        batch, losses = next((batch, losses) for batch, losses in passes if not losses.isfinite().all())
        bad = [name for name, loss in zip(batch.ids, losses.tolist(), strict=True) if not abs(loss) < float("inf")]
        good = checkpoints.latest(self.folder)
        return (
            f"the loss of step {step + 1} is not finite for {', '.join(bad)} (whole batch: {', '.join(batch.ids)}). "
            f"The last good checkpoint is {good.folder if good else 'none'}. "
            "Lower the learning rate, or train in bf16 or without mixed precision."
        )
