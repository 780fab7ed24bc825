"""How much of a picture a VAE keeps: peak signal-to-noise ratio of what it makes of its own latents."""

import torch
from diffusers import AutoencoderKL

from pipeline.metrics.example_loss import batches
from pipeline.trainset.pixels import PixelExamples

DESCRIPTION = "How much of a picture the VAE keeps: PSNR of the picture decoded from its own latents."
UNIT = "dB"
HIGHER_IS_BETTER = True

BATCH = 16
LEAST_ERROR = 1e-10
"""Mean squared error that counts as none: 100 dB."""


@torch.no_grad()
def measure(vae: AutoencoderKL, examples: PixelExamples) -> list[float]:
    """PSNR of each row, from the posterior's mean, over values in -1 to 1 that were clamped to it."""
    found: dict[int, float] = {}
    for rows in batches(examples, size=BATCH):
        target = examples.batch(rows).pixels.to(vae.device).float() / 127.5 - 1.0
        made = vae.decode(vae.encode(target).latent_dist.mean).sample.clamp(-1, 1)
        error = ((made - target) / 2).square().mean(dim=(1, 2, 3)).clamp(min=LEAST_ERROR)
        found.update(zip(rows, (-10 * error.log10()).tolist(), strict=True))
    return [found[row] for row in range(len(examples.rows))]
