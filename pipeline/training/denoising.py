"""The loss of a UNet on a batch: what it makes of noisy latents, held against what it should have made."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from pipeline.training.data import Batch, Examples
from pipeline.training.noise import draw
from pipeline.training.objective import Objective
from pipeline.training.painter import Painter
from pipeline.training.settings import TrainSettings

FEW_POSITIONS = 1024
"""Latents of this many positions, such as 32 x 32, and fewer attend on a CPU by plain products."""


@dataclass
class Denoising:
    """The losses of a painter on batches of `examples`; `autocast` gives the number format of the models' own pass.

    Raises ValueError where the settings ask for zero terminal SNR and the objective's schedule does not have it.
    """

    painter: Painter
    examples: Examples
    objective: Objective
    settings: TrainSettings
    device: torch.device = field(init=False)

    def __post_init__(self) -> None:
        if self.settings.zero_terminal_snr and self.objective.alphas[-1] > 0:
            raise ValueError("zero_terminal_snr needs a scheduler made with rescale_betas_zero_snr")
        self.device = self.painter.device
        self.objective = self.objective.to(self.device)

    def losses(self, batch: Batch, turn: int, autocast: AbstractContextManager[None]) -> Tensor:
        """The loss of each example, B float32, with the noise, timesteps and dropped captions of the turn."""
        drawn = draw(
            batch,
            self.examples,
            seed=self.settings.seed,
            turn=turn,
            timesteps=len(self.objective.alphas),
            noise_offset=self.settings.noise_offset,
            caption_dropout=self.settings.caption_dropout,
            logit=self.settings.logit,
        ).to(self.device)
        noisy = self.objective.noised(drawn.latents, drawn.noise, drawn.timesteps)
        with autocast, self._attention(drawn.latents):
            told = self.painter.told(batch, self.examples, dropped=drawn.dropped)
            answer = self.painter.unet(noisy, drawn.timesteps, **told.arguments()).sample
        return self.objective.losses(answer, drawn.latents, drawn.noise, drawn.timesteps)

    def _attention(self, latents: Tensor) -> AbstractContextManager[None]:
        """How the UNet attends over `latents`, B x C x h x w.

        On a CPU, the backward pass of torch's own fused attention takes a 64 px model 1.4 times as long as plain
        products do; those keep all of a layer's weights in memory, which large latents cannot. With gradient
        checkpointing the backward pass computes once more, outside of this, and must find the same.
        """
        few = latents.device.type == "cpu" and latents[0, 0].numel() <= FEW_POSITIONS
        return sdpa_kernel(SDPBackend.MATH) if few and not self.settings.gradient_checkpointing else nullcontext()
