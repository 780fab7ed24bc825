"""Blocks of the UNet learn at rates of their own: by one step of plain SGD, whose step is rate times gradient."""

import pytest
import torch
from diffusers import DDPMScheduler

from pipeline.errors import RecipeError
from pipeline.methods import full, lora
from pipeline.training.job import Job
from pipeline.training.painter import Painter
from pipeline.training.settings import TrainSettings

RATES = {"down_blocks": 0.5, "down_blocks.1": 0.25, "mid_block": 2.0}
GROUPS = "pipeline.training.optimizers:_groups"


def moved(tiny, folder, **chosen):
    shared = {"steps": 1, "optimizer": "sgd", "learning_rate": 1.0, "max_grad_norm": 0, "weight_decay": 0.0}
    settings = TrainSettings(method="full", warmup_steps=0, caption_dropout=0.0, batch_size=2, **shared, **chosen)
    painter, before = Painter(tiny.unet()), tiny.unet().state_dict()
    full.train(painter, tiny.examples(), DDPMScheduler(), settings, Job(tiny.folder / folder))
    return {name: one - before[name] for name, one in painter.unet.state_dict().items()}


def each_block_moves_by_its_own_rate(tiny):
    plain, rated = moved(tiny, "plain"), moved(tiny, "rated", block_rates=RATES)
    seen = set()
    for name, one in plain.items():
        fits = [block for block in RATES if name.startswith(f"{block}.")]
        factor = RATES[max(fits, key=len)] if fits else 1.0
        seen.add(factor)
        assert torch.allclose(rated[name], factor * one, rtol=1e-2, atol=1e-6), name
    assert seen == {1.0, 0.5, 0.25, 2.0}


TRAPS = {
    each_block_moves_by_its_own_rate: {
        "no factor": (GROUPS, "FACTOR: factor", "FACTOR: 1.0"),
        "the shortest name counts": ("pipeline.training.settings:TrainSettings.rates", "-len(one[0])", "len(one[0])"),
        "the names of the UNet alone": (
            "pipeline.training.settings:TrainSettings.rates",
            'f"unet.{name}"',
            'f"{name}"',
        ),
    },
}


def test_it_holds(check, tiny):
    check(tiny)


def test_a_planted_bug_is_found(check, bug, tiny, plant):
    with plant(*bug), pytest.raises(AssertionError):
        check(tiny)


def test_a_block_that_is_not_trained_is_named(tiny):
    settings = TrainSettings(steps=1, block_rates={"mid_block": 0.5, "conv_in": 0.1})
    with pytest.raises(RecipeError, match=r"train\.block_rates.*conv_in"):
        lora.train(Painter(tiny.unet()), tiny.examples(), DDPMScheduler(), settings, Job(tiny.folder))
