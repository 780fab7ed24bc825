"""How much the starter's VAE keeps of drawn pictures that it has never seen."""

import itertools

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from pipeline.starter import pictures
from pipeline.starter.drawing import Pixels

NOISE = "speckled"
"""The texture of noise."""


def to_model(pixels: Pixels) -> Tensor:
    """N x H x W x 3 bytes to N x 3 x H x W floats in -1..1, as the VAE reads them."""
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float() / 127.5 - 1.0


@torch.no_grad()
def psnr(vae: AutoencoderKL, *, count: int = 200) -> float:
    """Mean peak signal-to-noise ratio in dB over held-out drawn pictures, decoded from the posterior's mean.

    Grounds of noise are left out: no model of this size can carry them, and nobody would miss their pixels.
    """
    found = (pictures.picture(seed, held_out=True) for seed in itertools.count(10_000_000))
    kept = (one.pixels for one in found if one.scene.texture != NOISE)
    target = to_model(np.stack(list(itertools.islice(kept, count))))
    made = vae.decode(vae.encode(target).latent_dist.mean).sample.clamp(-1, 1)
    error = ((made - target) / 2).square().mean(dim=(1, 2, 3))
    return float((-10 * error.log10()).mean())
