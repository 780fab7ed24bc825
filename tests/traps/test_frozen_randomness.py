"""Item 12 of the notes: captions are dropped, and latents sampled, anew at every turn."""

import pytest
import torch

from pipeline.training.data import MemoryExamples
from pipeline.training.noise import draw
from pipeline.training.painter import Painter

COUNT, TURNS = 64, 300
DRAW = "pipeline.training.noise:draw"
DROP = "pipeline.training.told:Told.without"
LATENTS = "pipeline.training.noise:sample_latents"
SEEDED = "generator(seed, turn)"


def examples():
    """Pictures of a spread of 1 around their own number; caption n is made of n + 1; the empty caption of -5."""
    numbers = torch.arange(COUNT).view(-1, 1, 1, 1).expand(-1, 4, 2, 2).float()
    text = (torch.arange(COUNT) + 1.0).view(-1, 1, 1).expand(-1, 77, 2)
    moments = torch.cat([numbers, torch.zeros_like(numbers)], dim=1)
    return MemoryExamples(moments, text, torch.full((77, 2), -5.0), scale=1.0)


def drawn(turn, **more):
    data = examples()
    return draw(data.batch(range(COUNT)), data, seed=3, turn=turn, **more)


class Nowhere(torch.nn.Module):
    device = torch.device("cpu")


def told(turn, **more):
    data = examples()
    batch = data.batch(range(COUNT))
    dropped = draw(batch, data, seed=3, turn=turn, **more).dropped
    return Painter(Nowhere()).told(batch, data, dropped=dropped)


def captions_are_dropped_anew_each_turn(_tiny):
    text = torch.stack([told(turn, caption_dropout=0.3).text[:, 0, 0] for turn in range(TURNS)])
    dropped = text == -5.0
    # nothing but the empty caption or the own one
    assert torch.equal(text[~dropped], (torch.arange(COUNT) + 1.0).expand(TURNS, -1)[~dropped])
    # binomial: a share of 0.3 with a standard deviation of 0.003 overall, 0.026 for an example, 0.057 for a batch
    assert abs(float(dropped.float().mean()) - 0.3) < 0.02
    assert (dropped.float().mean(dim=0) - 0.3).abs().max() < 0.13
    assert (dropped.float().mean(dim=1) - 0.3).abs().max() < 0.3
    assert len({tuple(row.tolist()) for row in dropped}) == TURNS


def latents_noise_and_timesteps_are_drawn_anew_each_turn(_tiny):
    several = [drawn(turn) for turn in range(TURNS)]
    for name in ("latents", "noise", "timesteps"):
        one, two = (getattr(several[turn], name) for turn in (0, 1))
        assert not torch.equal(one, two)
        assert not torch.equal(one[0], one[1])
    latents = torch.stack([one.latents for one in several])
    centred = latents - torch.arange(COUNT).view(-1, 1, 1, 1)
    assert abs(float(centred.std()) - 1) < 0.01
    assert centred.std(dim=0).min() > 0.8
    # what is sampled in the latents tells nothing of the noise
    noise = torch.stack([one.noise for one in several])
    assert abs(float((centred * noise).mean())) < 0.01


TRAPS = {
    captions_are_dropped_anew_each_turn: {
        "drawn once for all turns": (
            DRAW,
            "torch.rand(len(latents), generator=draws)",
            "torch.rand(len(latents), generator=generator(seed))",
        ),
        "drawn once for the batch": (
            DRAW,
            "torch.rand(len(latents), generator=draws)",
            "torch.rand(1, generator=draws).expand(len(latents))",
        ),
        "nothing instead of the empty caption": (
            DROP,
            "examples.empty_text.to(self.text.dtype)",
            "torch.zeros_like(examples.empty_text)",
        ),
        "kept where it should be dropped": (DRAW, "< caption_dropout", ">= caption_dropout"),
        "another's caption": (DROP, "examples.empty_text.to(self.text.dtype)", "self.text.roll(1, 0)"),
    },
    latents_noise_and_timesteps_are_drawn_anew_each_turn: {
        "drawn once for all turns": (DRAW, SEEDED, "generator(seed)"),
        "one noise for the batch": (
            DRAW,
            "noise = torch.randn(latents.shape, generator=draws)",
            "noise = torch.randn(latents.shape[1:], generator=draws).expand(latents.shape)",
        ),
        "one timestep for the batch": (
            "pipeline.training.noise:_timesteps",
            "(count,), generator=draws)",
            "(1,), generator=draws).expand(count)",
        ),
        "always the posterior's mean": (DRAW, "draws=draws", "draws=None"),
        "a variance for a spread": (
            LATENTS,
            "log_variance.clamp(-30.0, 20.0).mul_(0.5).exp_()",
            "log_variance.mul(0.5).exp() * 1.2",
        ),
        "noise that repeats the sample": (
            DRAW,
            "torch.randn(latents.shape, generator=draws)",
            "torch.randn(latents.shape, generator=generator(seed, turn))",
        ),
    },
}


def test_it_holds(check, tiny):
    check(tiny)


def test_a_planted_bug_is_found(check, bug, tiny, plant):
    with plant(*bug), pytest.raises(AssertionError):
        check(tiny)
