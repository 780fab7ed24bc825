"""Train the VAE: its decoder on a domain's pictures, which leaves every UNet valid, or all of it, such as from scratch.

`weights/vae` in the folder opens with `AutoencoderKL.from_pretrained`; `weights/raw/vae` as in `full`. Where the
encoder is trained (`freeze: []`), `scaling_factor` becomes that of its latents, and only a UNet that is trained on them
understands it.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from torch import Tensor

from pipeline.training import layers, loop, weights
from pipeline.training.job import Job
from pipeline.training.loop import Lesson
from pipeline.training.noise import generator
from pipeline.training.result import Result
from pipeline.training.settings import TrainSettings
from pipeline.trainset.pixels import PixelBatch, PixelExamples

DESCRIPTION = "Train the VAE that turns pictures into latents and back: its decoder, or all of it."
LEARNS = "vae"
EXAMPLES = "pixels"

KL_WEIGHT = 2e-6
"""Weight of the KL term against the reconstruction, near Stable Diffusion's 1e-6 (Rombach et al. 2022, G)."""
SPREAD_OF, BATCH = 512, 32
"""Pictures whose latents' spread sets the scale, and how many of them are encoded at a time."""


def train(
    vae: AutoencoderKL,
    examples: PixelExamples,
    settings: TrainSettings,
    job: Job,
) -> Result:
    """Train `vae` in place, where it lies, to the weights to use; for all else see `loop.run`."""

    def begin() -> Lesson:
        layers.thaw(vae, frozen=settings.freeze)
        if settings.gradient_checkpointing:
            vae.enable_gradient_checkpointing()
        coding = (vae.encoder, vae.quant_conv)
        rescaled = any(one.requires_grad for part in coding if part is not None for one in part.parameters())

        def step_losses(batch: PixelBatch, turn: int, autocast: AbstractContextManager[None]) -> Tensor:
            return losses(vae, batch, draws=generator(settings.seed, turn), autocast=autocast)

        def save(target: Path, note: Mapping[str, str]) -> None:
            if rescaled:
                vae.register_to_config(scaling_factor=round(1.0 / spread(vae, examples), 5))
            weights.save_model(vae, target / "vae", header=note)

        return Lesson(vae, step_losses, save, load=lambda source: weights.load_model(vae, source / "vae"))

    before = vae.config.scaling_factor
    result = loop.run(begin, examples, settings, job, device=vae.device)
    if vae.config.scaling_factor != before:
        job.say(f"vae: scaling_factor is now {vae.config.scaling_factor}; it was {before}")
    return result


def load(vae: AutoencoderKL, folder: Path) -> AutoencoderKL:
    """The base model's `vae` with the trained weights in `folder` (a result's), where it lies."""
    weights.load_model(vae, folder / "vae")
    vae.register_to_config(scaling_factor=AutoencoderKL.load_config(folder / "vae")["scaling_factor"])
    return vae


def losses(
    vae: AutoencoderKL,
    batch: PixelBatch,
    *,
    draws: torch.Generator | None = None,
    autocast: AbstractContextManager[None] | None = None,
) -> Tensor:
    """L1 + MSE + KL of each picture, B float32, a mean over its values in -1 to 1.

    The latents are drawn from the posterior by `draws`, a CPU generator; without it they are its mean.
    """
    target = to_model(batch.pixels.to(vae.device))
    with autocast or nullcontext():
        posterior = DiagonalGaussianDistribution(vae.encode(target).latent_dist.parameters.float())
        latents = posterior.mean
        if draws is not None:
            latents = latents + posterior.std * torch.randn(latents.shape, generator=draws).to(latents.device)
        made = vae.decode(latents).sample.float()
    error = made - target
    kl = posterior.kl() / target[0].numel()
    total: Tensor = error.abs().flatten(1).mean(1) + error.square().flatten(1).mean(1) + KL_WEIGHT * kl
    return total


@torch.no_grad()
def spread(vae: AutoencoderKL, examples: PixelExamples) -> float:
    """Standard deviation of the latents of the first pictures, of the posterior's mean."""
    rows = range(min(SPREAD_OF, len(examples.rows)))
    by_size: dict[tuple[int, int], list[int]] = {}
    for row in rows:
        by_size.setdefault(examples.sizes[row], []).append(row)
    found = [
        vae.encode(to_model(examples.batch(same[start : start + BATCH]).pixels.to(vae.device))).latent_dist.mean
        for same in by_size.values()
        for start in range(0, len(same), BATCH)
    ]
    return float(torch.cat([one.flatten() for one in found]).std())


def to_model(pixels: Tensor) -> Tensor:
    """B x 3 x H x W bytes to floats in -1..1, as the VAE reads them."""
    return pixels.float() / 127.5 - 1.0
