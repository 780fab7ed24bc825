from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from diffusers import DDPMScheduler

from pipeline.training.data import MemoryExamples
from pipeline.training.denoising import Denoising
from pipeline.training.noise import draw
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
