"""Velocity and zero-terminal SNR, from training to samples: pictures far from the middle grey come out as far from it.

With a schedule that does not end in noise alone a sampler's first step tells the model a little of the picture's mean,
and a sample drawn from noise alone comes out too near 0 (Lin et al. 2023, section 2).
"""

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler

from pipeline.methods import full
from pipeline.training.data import MemoryExamples
from pipeline.training.job import Job
from pipeline.training.painter import Painter
from pipeline.training.settings import TrainSettings

BRIGHT = 3.0
RESCALED = DDPMScheduler(prediction_type="v_prediction", rescale_betas_zero_snr=True, clip_sample=False)


@pytest.fixture
def two_tones():
    """A dark and a bright picture without texture, told apart by their captions alone; the posterior is a point."""
    tones = torch.tensor([-BRIGHT, BRIGHT]).view(2, 1, 1, 1).expand(2, 4, 8, 8)
    texts = torch.stack([torch.full((77, 16), -1.0), torch.full((77, 16), 1.0)])
    return MemoryExamples(torch.cat([tones, torch.full_like(tones, -30.0)], dim=1), texts, torch.zeros(77, 16), scale=1)


@torch.no_grad()
def sample(unet, text, scheduler, steps=10):
    sampler = DDIMScheduler.from_config(scheduler.config, timestep_spacing="trailing")
    sampler.set_timesteps(steps)
    latents = torch.randn(len(text), 4, 8, 8, generator=torch.Generator().manual_seed(9))
    for timestep in sampler.timesteps:
        answer = unet(latents, timestep, encoder_hidden_states=text).sample
        latents = sampler.step(answer, timestep, latents).prev_sample
    return latents


def test_a_model_learns_velocity_and_paints_the_darkest_and_the_brightest(tiny_unet, two_tones, tmp_path):
    chosen = TrainSettings(
        method="full",
        steps=250,
        batch_size=8,
        gradient_accumulation=1,
        learning_rate=5e-3,
        lr_schedule="cosine",
        warmup_steps=10,
        caption_dropout=0.0,
        zero_terminal_snr=True,
        min_snr_gamma=None,
        checkpoint_every=250,
    )
    data = MemoryExamples(two_tones.moments, two_tones.text, two_tones.empty_text, scale=1, repeats=[8, 8])
    unet = tiny_unet()
    result = full.train(Painter(unet), data, RESCALED, chosen, Job(tmp_path))
    assert sum(result.losses[-20:]) < 0.1 * sum(result.losses[:20])
    made = sample(unet, two_tones.text, RESCALED)
    assert made[0].mean().item() == pytest.approx(-BRIGHT, abs=0.3)
    assert made[1].mean().item() == pytest.approx(BRIGHT, abs=0.3)
    assert made.std(dim=(1, 2, 3)).max() < BRIGHT / 2
