"""What the UNet is asked to predict, and how much each timestep counts."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import torch
from diffusers import SchedulerMixin
from torch import Tensor

from pipeline.errors import ModelError
from pipeline.training.settings import TrainSettings

PREDICTIONS = ("epsilon", "v_prediction")

LEAST_AREA = 1e-6
"""What a mask's sum is taken for where it is 0."""


@dataclass(frozen=True)
class Objective:
    """The cost of an answer in epsilon or v, weighted by min-SNR (Hang et al. 2023, equation 6) where `gamma` is given.

    `alphas` are the cumulated products of 1 - beta, one for each timestep, falling from near 1 to near or at 0. The
    cost is the squared error e, or with `huber` = c the pseudo-Huber loss 2 c (sqrt(e + c^2) - c) of each value, as
    diffusers' DreamBooth example has it: e where e is small against c^2, linear in its root beyond.
    """

    alphas: Tensor
    prediction: str
    gamma: float | None = None
    huber: float | None = None

    @classmethod
    def of(cls, scheduler: SchedulerMixin, *, gamma: float | None = None, huber: float | None = None) -> Self:
        """The objective of a diffusers scheduler; any that has `alphas_cumprod`."""
        prediction = scheduler.config.prediction_type
        if prediction not in PREDICTIONS:
            raise ModelError(
                "the scheduler predicts neither noise nor velocity",
                field="base_model.scheduler.prediction_type",
                value=prediction,
                remedy=f"Take a base model whose scheduler predicts one of: {', '.join(PREDICTIONS)}.",
            )
        return cls(scheduler.alphas_cumprod.detach().float().cpu().clone(), prediction, gamma, huber)

    @classmethod
    def chosen(cls, scheduler: SchedulerMixin, settings: TrainSettings) -> Self:
        """The objective of a scheduler as a training's settings want it."""
        huber = settings.huber_c if settings.loss == "huber" else None
        return cls.of(scheduler, gamma=settings.min_snr_gamma, huber=huber)

    def to(self, device: torch.device) -> Self:
        """The same on another device."""
        return replace(self, alphas=self.alphas.to(device))

    def noised(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """Latents after `timesteps` (B) of diffusion: sqrt(a) z + sqrt(1 - a) e (Ho et al. 2020, equation 4)."""
        signal, spread = self._roots(timesteps)
        return signal * latents + spread * noise

    def target(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """What the UNet should answer: e, or v = sqrt(a) e - sqrt(1 - a) z (Salimans & Ho 2022, appendix D)."""
        if self.prediction == "epsilon":
            return noise
        signal, spread = self._roots(timesteps)
        return signal * noise - spread * latents

    def snr(self, timesteps: Tensor) -> Tensor:
        """Signal-to-noise ratio a / (1 - a) of each timestep, 0 or more."""
        alphas = self.alphas[timesteps]
        return alphas / (1 - alphas)

    def weights(self, timesteps: Tensor) -> Tensor:
        """Weight of each timestep's error: min(SNR, gamma) / SNR for epsilon, / (SNR + 1) for v; 1 without gamma."""
        return self._weights[timesteps]

    @cached_property
    def _weights(self) -> Tensor:
        if self.gamma is None:
            return torch.ones_like(self.alphas)
        snr = self.snr(torch.arange(len(self.alphas), device=self.alphas.device))
        if self.prediction == "epsilon":
            # gamma / 0 is infinite, and its minimum with 1 is the limit that 0 / 0 would miss
            return (self.gamma / snr).clamp(max=1.0)
        return snr.clamp(max=self.gamma) / (snr + 1)

    def losses(
        self, answer: Tensor, latents: Tensor, noise: Tensor, timesteps: Tensor, *, mask: Tensor | None = None
    ) -> Tensor:
        """Weighted mean cost of each example, B float32, on the UNet's answer B x C x h x w.

        With a `mask`, B x 1 x h x w, the mean is over what it lets count: the sum of cost times mask, divided by the
        mask's own sum, so that a small subject teaches as much as a large one; 0 where it lets nothing count.
        """
        cost = (answer.float() - self.target(latents, noise, timesteps)).square()
        if self.huber is not None:
            cost = 2 * self.huber * ((cost + self.huber**2).sqrt() - self.huber)
        if mask is None:
            return self.weights(timesteps) * cost.flatten(1).mean(dim=1)
        area = mask.flatten(1).sum(dim=1).clamp(min=LEAST_AREA)
        return self.weights(timesteps) * (cost.mean(dim=1, keepdim=True) * mask).flatten(1).sum(dim=1) / area

    def _roots(self, timesteps: Tensor) -> tuple[Tensor, Tensor]:
        signal, spread = self._all_roots
        return signal[timesteps], spread[timesteps]

    @cached_property
    def _all_roots(self) -> tuple[Tensor, Tensor]:
        alphas = self.alphas.view(-1, 1, 1, 1)
        return alphas.sqrt(), (1 - alphas).sqrt()
