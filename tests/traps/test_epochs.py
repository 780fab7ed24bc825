"""A training told in epochs is the same one told in steps: weights, course of the learning rate, resumption."""

import pytest
import torch
from diffusers import DDPMScheduler
from safetensors.torch import load_file

from pipeline.manifest import read_table
from pipeline.methods import lora
from pipeline.training import checkpoints, record
from pipeline.training.job import Job
from pipeline.training.painter import Painter
from pipeline.training.settings import TrainSettings

SHARED = {"batch_size": 2, "rank": 2, "lr_schedule": "linear", "learning_rate": 0.1, "gradient_accumulation": 2}
BATCHES = "pipeline.training.epochs:batches"
COUNTED = "pipeline.training.epochs:counted"
FILE = "pytorch_lora_weights.safetensors"


def train(tiny, name, **more):
    folder, chosen = tiny.folder / name, TrainSettings(**{**SHARED, **more})
    result = lora.train(Painter(tiny.unet()), tiny.examples(), DDPMScheduler(), chosen, Job(folder))
    rows = read_table(folder / "metrics.parquet").to_pylist()
    rates = [row["value"] for row in rows if row["name"] == record.RATE]
    return result, rates, load_file(result.folder / FILE)


def two_epochs_are_the_steps_of_all_their_batches(tiny):
    """Epochs of 5 batches (4 of one size in twos, 4 of the other but one comes twice): 10 batches are 5 steps."""
    wanted, rates, weights = train(tiny, "steps", steps=5)
    found, theirs, same = train(tiny, "epochs", epochs=2)
    assert found.steps == wanted.steps == 5
    assert found.losses == wanted.losses
    assert theirs == rates
    assert rates[-1] == pytest.approx(0.1 / 5)
    assert all(torch.equal(one, same[name]) for name, one in weights.items())
    identities = [checkpoints.latest(tiny.folder / name).folder / "identity.json" for name in ("steps", "epochs")]
    assert identities[0].read_text() == identities[1].read_text()


TRAPS = {
    two_epochs_are_the_steps_of_all_their_batches: {
        "repeats are not counted": (BATCHES, "rows[size] += times", "rows[size] += 1"),
        "sizes are mixed": (BATCHES, "rows[size] += times", "rows[(0, 0)] += times"),
        "short batches are not counted": (BATCHES, "math.ceil(count / batch_size)", "count // batch_size"),
        "accumulation is forgotten": (COUNTED, "/ settings.gradient_accumulation", ""),
        "one epoch": (COUNTED, "settings.epochs * batches", "batches"),
        "another identity": (COUNTED, '"epochs": None', '"epochs": settings.epochs'),
    },
}


def test_it_holds(check, tiny):
    check(tiny)


def test_a_planted_bug_is_found(check, bug, tiny, plant):
    with plant(*bug), pytest.raises(AssertionError):
        check(tiny)
