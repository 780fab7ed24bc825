"""The starter's VAE: an AutoencoderKL that shrinks by 4, so that a 64 px picture becomes 4 x 16 x 16 latents."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn import functional

from pipeline.starter import pictures
from pipeline.starter.drawing import Pixels
from pipeline.starter.fit import fit

POOL = 12_000
SPREAD_OF = 512
"""Drawn pictures whose latents' spread sets the scale."""
KL_WEIGHT = 2e-6
"""Weight of the KL term against the reconstruction, near Stable Diffusion's 1e-6 (Rombach et al. 2022, G)."""


def train(work: Path, *, steps: int, batch: int = 32, say: Callable[[str], None]) -> AutoencoderKL:
    """Train on drawn pictures (two thirds) and clutter (one third) with L1 + MSE + KL, then measure the scale."""
    torch.manual_seed(0)
    vae = AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(24, 48, 64),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=64,
    )
    pool = np.stack(
        [
            pictures.clutter(seed) if seed % 3 == 0 else pictures.picture(seed, held_out=False).pixels
            for seed in range(POOL)
        ]
    )

    def loss(step: int) -> Tensor:
        rng = np.random.default_rng([step, 1])
        target = to_model(pool[rng.integers(0, POOL, batch)])
        posterior = vae.encode(target).latent_dist
        made = vae.decode(posterior.sample()).sample.float()
        kl = posterior.kl().mean() / target[0].numel()
        total: Tensor = functional.l1_loss(made, target) + functional.mse_loss(made, target) + KL_WEIGHT * kl
        return total

    fit(vae, loss, steps=steps, learning_rate=2e-3, work=work, weight_decay=0.0, say=say)
    with torch.no_grad():
        drawn = np.stack([pictures.picture(seed, held_out=False).pixels for seed in range(SPREAD_OF)])
        spread = float(vae.encode(to_model(drawn)).latent_dist.mean.std())
    vae.register_to_config(scaling_factor=round(1.0 / spread, 5))
    return vae


def to_model(pixels: Pixels) -> Tensor:
    """N x H x W x 3 bytes to N x 3 x H x W floats in -1..1, as the VAE reads them."""
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float() / 127.5 - 1.0


@torch.no_grad()
def psnr(vae: AutoencoderKL, *, count: int = 200) -> float:
    """Mean peak signal-to-noise ratio in dB over held-out drawn pictures, decoded from the posterior's mean."""
    drawn = np.stack([pictures.picture(10_000_000 + seed, held_out=True).pixels for seed in range(count)])
    target = to_model(drawn)
    made = vae.decode(vae.encode(target).latent_dist.mean).sample.clamp(-1, 1)
    error = ((made - target) / 2).square().mean(dim=(1, 2, 3))
    return float((-10 * error.log10()).mean())
