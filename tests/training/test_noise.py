import pytest
import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

from pipeline.training.data import MemoryExamples
from pipeline.training.noise import draw, generator, sample_latents


@pytest.fixture
def examples():
    draws = torch.Generator().manual_seed(1)
    moments = torch.randn(64, 8, 4, 4, generator=draws)
    return MemoryExamples(moments, torch.ones(64, 77, 2), torch.full((77, 2), 5.0), scale=0.5, shift=0.25)


def drawn(examples, rows=range(64), **changes):
    return draw(examples.batch(list(rows)), examples, **{"seed": 1, "turn": 2, **changes})


def test_latents_are_sampled_as_diffusers_samples_then_shifted_and_scaled(examples):
    extreme = torch.cat([examples.moments[:8], torch.linspace(-50, 50, 8 * 128).view(8, 8, 4, 4)])
    wanted = DiagonalGaussianDistribution(extreme).sample(generator(3))
    found = sample_latents(extreme, scale=0.5, shift=0.25, draws=generator(3))
    assert torch.allclose(found, (wanted - 0.25) * 0.5)
    mode = DiagonalGaussianDistribution(extreme).mode()
    assert torch.allclose(sample_latents(extreme, scale=2.0, shift=1.0, draws=None), (mode - 1) * 2)


def test_seed_and_turn_decide_everything_and_each_turn_is_new(examples):
    one, two = drawn(examples), drawn(examples)
    torch.manual_seed(7)
    assert torch.equal(one.noise, two.noise)
    assert torch.equal(one.latents, two.latents)
    assert torch.equal(one.timesteps, two.timesteps)
    for change in ({"seed": 2}, {"turn": 3}):
        assert not torch.equal(one.noise, drawn(examples, **change).noise)
        assert not torch.equal(one.timesteps, drawn(examples, **change).timesteps)


def test_noise_is_normal_and_timesteps_are_uniform(examples):
    many = [drawn(examples, turn=turn) for turn in range(200)]
    noise = torch.cat([one.noise for one in many])
    assert noise.mean().abs() < 0.005
    assert abs(noise.std() - 1) < 0.005
    timesteps = torch.cat([one.timesteps for one in many])
    assert (int(timesteps.min()), int(timesteps.max())) == (0, 999)
    parts = torch.histc(timesteps.float(), bins=10, min=0, max=1000) / len(timesteps)
    assert (parts - 0.1).abs().max() < 0.01


def test_captions_are_dropped_at_the_asked_rate_anew_each_turn(examples):
    dropped = torch.stack([drawn(examples, turn=turn, caption_dropout=0.3).dropped for turn in range(200)])
    assert abs(float(dropped.float().mean()) - 0.3) < 0.02
    # no example is dropped always or never
    assert int(dropped.sum(dim=0).min()) > 0
    assert int(dropped.sum(dim=0).max()) < 200
    assert drawn(examples, caption_dropout=1.0).dropped.all()
    assert drawn(examples).dropped is None


def test_dropping_captions_changes_no_noise(examples):
    assert torch.equal(drawn(examples).noise, drawn(examples, caption_dropout=0.5).noise)
    assert torch.equal(drawn(examples).timesteps, drawn(examples, caption_dropout=0.5).timesteps)


def test_offset_noise_is_constant_over_each_channel(examples):
    difference = drawn(examples, noise_offset=0.1).noise - drawn(examples).noise
    assert torch.allclose(difference, difference[:, :, :1, :1].expand_as(difference), atol=1e-6)
    assert abs(float(difference[:, :, 0, 0].std()) - 0.1) < 0.02
