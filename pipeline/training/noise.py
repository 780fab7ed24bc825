"""Everything random in a step, drawn on the CPU from (seed, turn), so that every device and a resumed run agree."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipeline.training.data import Batch, Examples
from pipeline.training.later import moved


def seed_of(*path: int) -> int:
    """A seed for torch (63 bits) made of the numbers of `path`, each 0 or more."""
    (seed,) = np.random.SeedSequence(path).generate_state(1, np.uint64)
    return int(seed) >> 1


def generator(*path: int) -> torch.Generator:
    """A CPU generator whose stream is decided by the numbers of `path`, each 0 or more."""
    return torch.Generator().manual_seed(seed_of(*path))


def sample_latents(moments: Tensor, *, scale: float, shift: float, draws: torch.Generator | None) -> Tensor:
    """Latents as the UNet sees them, B x C x h x w, from the posterior's moments; without `draws`, its mean.

    The log-variance is clamped to -30..20, as diffusers' DiagonalGaussianDistribution does.
    """
    mean, log_variance = moments.chunk(2, dim=1)
    if draws is not None:
        spread = log_variance.clamp(-30.0, 20.0).mul_(0.5).exp_()
        mean = mean + spread.mul_(torch.randn(mean.shape, generator=draws))
    return (mean - shift) * scale


@dataclass(frozen=True)
class Drawn:
    """A batch's randomness: `latents` and `noise` B x C x h x w, `timesteps` B, and which captions are `dropped`, B.

    None are where that is None.
    """

    latents: Tensor
    noise: Tensor
    timesteps: Tensor
    dropped: Tensor | None = None

    def to(self, device: torch.device) -> "Drawn":
        """The same on another device; what is dropped is asked on the CPU."""
        latents, noise, timesteps = (moved(one, device) for one in (self.latents, self.noise, self.timesteps))
        return Drawn(latents, noise, timesteps, self.dropped)

    def part(self, which: slice) -> "Drawn":
        """That of some of the examples."""
        dropped = None if self.dropped is None else self.dropped[which]
        return Drawn(self.latents[which], self.noise[which], self.timesteps[which], dropped)


def draw(
    batch: Batch,
    examples: Examples,
    *,
    seed: int,
    turn: int,
    timesteps: int = 1000,
    noise_offset: float = 0.0,
    caption_dropout: float = 0.0,
    logit: tuple[float, float] | None = None,
) -> Drawn:
    """Latents, noise, timesteps in 0..timesteps-1 and dropped captions of a turn.

    Timesteps come uniformly, or, with `logit` as mean and spread, as the sigmoid of a normal number (Esser et al. 2024,
    equation 19).

    Offset noise is constant over each channel (Guttenberg 2023, "Diffusion with offset noise").
    """
    draws = generator(seed, turn)
    latents = sample_latents(batch.moments, scale=examples.scale, shift=examples.shift, draws=draws)
    noise = torch.randn(latents.shape, generator=draws)
    if noise_offset:
        noise = noise + noise_offset * torch.randn((*latents.shape[:2], 1, 1), generator=draws)
    chosen = _timesteps(len(latents), timesteps, logit, draws)
    dropped = torch.rand(len(latents), generator=draws) < caption_dropout if caption_dropout else None
    return Drawn(latents, noise, chosen, dropped)


def _timesteps(count: int, timesteps: int, logit: tuple[float, float] | None, draws: torch.Generator) -> Tensor:
    if logit is None:
        return torch.randint(0, timesteps, (count,), generator=draws)
    mean, spread = logit
    shares = torch.sigmoid(mean + spread * torch.randn(count, generator=draws))
    return (shares * timesteps).long().clamp(max=timesteps - 1)
