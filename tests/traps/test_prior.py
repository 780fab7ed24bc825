"""Item 4 of the notes: a step's loss is mean(subject) + w * mean(class pictures), on a batch of 2 + 2."""

from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch
from diffusers import DDPMScheduler

from pipeline.training.data import MemoryExamples, Turns
from pipeline.training.denoising import PRIOR, Denoising
from pipeline.training.noise import seed_of
from pipeline.training.objective import Objective
from pipeline.training.painter import Painter
from pipeline.training.settings import TrainSettings

LOSSES = "pipeline.training.denoising:Denoising.losses"
WEIGHED = "pipeline.training.denoising:_Prior.weighed"
READY = "pipeline.training.denoising:_Prior.ready"
SEED = "pipeline.training.denoising:_Prior.seed"
SHARED = {"method": "dreambooth", "batch_size": 2, "caption_dropout": 0.0}


def set_of(seed, count):
    draws = torch.Generator().manual_seed(seed)
    text = torch.randn(count, 77, 4, generator=draws)
    return MemoryExamples(torch.randn(count, 8, 4, 4, generator=draws), text, torch.zeros(77, 4), scale=0.5)


def losses(tiny, examples, batch, turn, **chosen):
    settings = TrainSettings(**{**SHARED, **chosen})
    scheduler = DDPMScheduler(beta_schedule="scaled_linear")
    one = Denoising(Painter(tiny.unet()), examples, Objective.chosen(scheduler, settings), settings)
    with torch.no_grad():
        return one.losses(batch, turn, nullcontext())


def the_loss_is_the_sum_of_two_means(tiny):
    subject, school = set_of(1, 2), set_of(2, 6)
    both = replace(subject, prior=school)
    batch = subject.batch([0, 1])
    own = seed_of(0, PRIOR)
    for turn in (0, 4):
        theirs = school.batch(Turns(school, batch_size=2, seed=own).rows(turn))
        assert len(theirs.ids) == len(batch.ids) == 2
        alone = losses(tiny, subject, batch, turn)
        known = losses(tiny, school, theirs, turn, seed=own)
        for weight in (0.5, 1.0, 3.0):
            found = losses(tiny, both, batch, turn, prior_weight=weight)
            assert torch.allclose(found, alone + weight * known.mean(), rtol=1e-6)
            assert float(found.mean()) == pytest.approx(float(alone.mean() + weight * known.mean()), rel=1e-6)
        assert torch.equal(losses(tiny, both, batch, turn, prior_weight=0.0), alone)


TRAPS = {
    the_loss_is_the_sum_of_two_means: {
        "one mean over all": (
            LOSSES,
            "losses + self._prior.weighed(*drawn.prior)",
            "(losses + self._prior.weighed(*drawn.prior)) / 2",
        ),
        "no weight": (WEIGHED, "self.settings.prior_weight * ", ""),
        "summed and not averaged": (WEIGHED, ".mean()", ".sum()"),
        "the same class pictures each turn": (READY, "self._turns.rows(turn)", "self._turns.rows(0)"),
        "the subject's noise": (SEED, "seed_of(self.settings.seed, PRIOR)", "self.settings.seed"),
        "class pictures forgotten": (LOSSES, "self._prior is None", "True"),
    },
}


def test_it_holds(check, tiny):
    check(tiny)


def test_a_planted_bug_is_found(check, bug, tiny, plant):
    with plant(*bug), pytest.raises(AssertionError):
        check(tiny)
