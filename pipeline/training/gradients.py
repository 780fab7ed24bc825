"""The gradient of one step: the mean over all examples of its micro-batches."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from pipeline.errors import GessoError
from pipeline.training import checkpoints
from pipeline.training.data import Batch, Examples, Turns
from pipeline.training.noise import draw, seed_of
from pipeline.training.objective import Objective
from pipeline.training.settings import TrainSettings


@dataclass
class Gradients:
    """Computes the gradients of a training's steps; `folder` is the training's own, for messages."""

    accelerator: Accelerator
    unet: Any
    examples: Examples
    objective: Objective
    settings: TrainSettings
    folder: Path
    turns: Turns = field(init=False)

    def __post_init__(self) -> None:
        self.objective = self.objective.to(self.accelerator.device)
        self.turns = Turns(self.examples, batch_size=self.settings.batch_size, seed=self.settings.seed)

    def accumulate(self, step: int) -> float:
        """Add the gradient of step `step` (from 0) to the parameters, and return the step's mean loss.

        Every example weighs the same, also where the last batch of a bucket is short. Raises GessoError on a loss
        that is not finite, naming the batch's samples.
        """
        first = step * self.settings.gradient_accumulation
        batches = {turn: self.turns.rows(turn) for turn in range(first, first + self.settings.gradient_accumulation)}
        count = sum(len(rows) for rows in batches.values())
        total = 0.0
        for turn, rows in batches.items():
            batch = self.examples.batch(rows)
            losses = self._losses(batch, turn)
            if not losses.isfinite().all():
                raise GessoError(self._not_finite(step, batch, losses))
            self.accelerator.backward(losses.sum() / count)
            total += float(losses.detach().sum())
        return total / count

    def clip(self, parameters: list[nn.Parameter]) -> float:
        """Clip the gradient's norm as the settings say; return the norm that it had."""
        limit = self.settings.max_grad_norm or float("inf")
        return float(self.accelerator.clip_grad_norm_(parameters, limit))

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
        # dropout inside the model reads the global stream
        torch.manual_seed(seed_of(self.settings.seed, turn))
        with self.accelerator.autocast():
            answer = self.unet(noisy, drawn.timesteps, encoder_hidden_states=drawn.text).sample
        return self.objective.losses(answer, drawn.latents, drawn.noise, drawn.timesteps)

    def _not_finite(self, step: int, batch: Batch, losses: Tensor) -> str:
        bad = [name for name, loss in zip(batch.ids, losses.tolist(), strict=True) if not abs(loss) < float("inf")]
        good = checkpoints.latest(self.folder)
        return (
            f"the loss of step {step + 1} is not finite for {', '.join(bad)} (whole batch: {', '.join(batch.ids)}). "
            f"The last good checkpoint is {good.folder if good else 'none'}. "
            "Lower the learning rate, or train in bf16 or without mixed precision."
        )
