from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from diffusers import DDPMScheduler

from pipeline.training.data import MemoryExamples, Turns
from pipeline.training.denoising import Denoising
from pipeline.training.noise import draw, seed_of
from pipeline.training.objective import Objective
from pipeline.training.painter import Painter
from pipeline.training.settings import TrainSettings


class Unet(torch.nn.Module):
    """Answers with half of what it is shown, and remembers what that was."""

    device = torch.device("cpu")

    def forward(self, noisy, timesteps, encoder_hidden_states):
        self.seen = (noisy, timesteps, encoder_hidden_states)
        return SimpleNamespace(sample=noisy / 2)


@pytest.fixture
def examples():
    draws = torch.Generator().manual_seed(1)
    moments = torch.randn(3, 8, 4, 4, generator=draws)
    return MemoryExamples(moments, torch.randn(3, 77, 2, generator=draws), torch.zeros(77, 2), scale=0.5)


@pytest.mark.parametrize("gamma", [None, 1.0])
def test_losses_are_the_objectives_on_what_the_turn_drew(examples, gamma):
    objective = Objective.of(DDPMScheduler(), gamma=gamma)
    chosen = TrainSettings(seed=5, noise_offset=0.1, caption_dropout=0.5)
    unet, batch = Unet(), examples.batch([0, 1, 2])
    found = Denoising(Painter(unet), examples, objective, chosen).losses(batch, 7, nullcontext())
    drawn = draw(batch, examples, seed=5, turn=7, noise_offset=0.1, caption_dropout=0.5)
    noisy = objective.noised(drawn.latents, drawn.noise, drawn.timesteps)
    assert torch.equal(found, objective.losses(noisy / 2, drawn.latents, drawn.noise, drawn.timesteps))
    assert torch.equal(unet.seen[0], noisy)
    assert drawn.dropped.any()
    assert torch.equal(unet.seen[2][drawn.dropped], torch.zeros(int(drawn.dropped.sum()), 77, 2))
    assert torch.equal(unet.seen[2][~drawn.dropped], batch.text[~drawn.dropped])


def test_another_turn_draws_anew(examples):
    losses = Denoising(Painter(Unet()), examples, Objective.of(DDPMScheduler()), TrainSettings()).losses
    batch = examples.batch([0, 1])
    assert torch.equal(losses(batch, 1, nullcontext()), losses(batch, 1, nullcontext()))
    assert not torch.equal(losses(batch, 1, nullcontext()), losses(batch, 2, nullcontext()))


def test_the_number_format_is_for_the_models_own_pass_alone(examples):
    seen = []

    class Watch(nullcontext):
        def __enter__(self):
            seen.append("in")

        def __exit__(self, *_):
            seen.append("out")

    class Told(Unet):
        def forward(self, *given, **named):
            seen.append("model")
            return super().forward(*given, **named)

    Denoising(Painter(Told()), examples, Objective.of(DDPMScheduler()), TrainSettings()).losses(
        examples.batch([0]), 0, Watch()
    )
    assert seen == ["in", "model", "out"]


def losses(unet, examples, *, turn=5, **changes):
    chosen = TrainSettings(seed=4, batch_size=2, **changes)
    denoising = Denoising(Painter(unet), examples, Objective.of(DDPMScheduler()), chosen)
    return denoising.losses(examples.batch([0, 2]), turn, nullcontext())


@pytest.mark.parametrize("weight", [1.0, 0.25])
def test_class_pictures_weigh_in_as_a_mean_of_their_own(examples, weight):
    draws = torch.Generator().manual_seed(2)
    prior = MemoryExamples(
        torch.randn(4, 8, 4, 4, generator=draws), torch.randn(4, 77, 2, generator=draws), torch.zeros(77, 2), scale=0.5
    )
    both = replace(examples, prior=prior)
    alone = losses(Unet(), examples)
    # the class pictures' own training, with the seed and the order that they have
    other = TrainSettings(seed=seed_of(4, 2), batch_size=2)
    rows = Turns(prior, batch_size=2, seed=other.seed).rows(5)
    theirs = Denoising(Painter(Unet()), prior, Objective.of(DDPMScheduler()), other).losses(
        prior.batch(rows), 5, nullcontext()
    )
    found = losses(Unet(), both, prior_weight=weight)
    assert torch.allclose(found.mean(), alone.mean() + weight * theirs.mean(), atol=1e-6)
    assert torch.equal(losses(Unet(), both, prior_weight=0.0), alone)
    assert both.digest != examples.digest


def test_every_class_picture_comes_once_an_epoch(examples):
    seen = []

    class Watched(MemoryExamples):
        def batch(self, rows):
            seen.extend(rows)
            return super().batch(rows)

    watched = Watched(torch.zeros(5, 8, 4, 4), torch.zeros(5, 77, 2), torch.zeros(77, 2), scale=0.5)
    both = replace(examples, prior=watched)
    denoising = Denoising(Painter(Unet()), both, Objective.of(DDPMScheduler()), TrainSettings(batch_size=1))
    for turn in range(10):
        denoising.losses(both.batch([0]), turn, nullcontext())
    assert sorted(seen[:5]) == sorted(seen[5:]) == list(range(5))
