"""Item 10 of the notes: a training that was stopped ends bitwise as an undisturbed one.

Here a failing callback stops it, so that many bugs can be tried; test_killed.py kills for real.
"""

from contextlib import suppress

import pyarrow.parquet as pq
import pytest
import torch
from diffusers import DDPMScheduler

from pipeline.methods import full, lora
from pipeline.training.ahead import Ahead
from pipeline.training.job import Job
from pipeline.training.painter import Painter
from pipeline.training.settings import TrainSettings

SETTINGS = {
    "steps": 4,
    "batch_size": 2,
    "gradient_accumulation": 2,
    "learning_rate": 1e-2,
    "lr_schedule": "cosine",
    "warmup_steps": 1,
    "checkpoint_every": 1,
    "ema_decay": 0.9,
    "dropout": 0.2,
    "caption_dropout": 0.3,
    "noise_offset": 0.1,
    "rank": 2,
}
LOOP = "pipeline.training.loop:run"
ACCUMULATE = "pipeline.training.gradients:Gradients.launch"
RECORD = "pipeline.training.record:Record.__init__"


class Stopped(Exception):  # noqa: N818 - it stands for a signal
    pass


def train(method, tiny, folder, fatal=None):
    """Train, and stop within the writing of the `fatal`th checkpoint; returns what was read and what the model saw."""
    unet, examples, read, seen = tiny.unet(), tiny.examples(), [], []
    save, saved, get = torch.save, [], Ahead.get
    unet.register_forward_pre_hook(lambda _, given: seen.append((given[0].clone(), given[1].clone())))

    def asked(self, turn):
        batch, drawn = get(self, turn)
        read.append(batch.rows)
        return batch, drawn

    def stop(*given):
        saved.append(given)
        if len(saved) == fatal:
            raise Stopped
        save(*given)

    settings = TrainSettings(method=method.__name__.rpartition(".")[2], **SETTINGS)
    with pytest.MonkeyPatch.context() as patch, suppress(Stopped):
        patch.setattr(torch, "save", stop)
        patch.setattr(Ahead, "get", asked)
        method.train(Painter(unet), examples, DDPMScheduler(), settings, Job(folder))
    assert bool(fatal) == (len(saved) == fatal)
    return read, seen


def agree(method, tiny):
    straight, stopped = tiny.folder / "straight", tiny.folder / "stopped"
    read, seen = train(method, tiny, straight)
    # stopped in its second step, then in its third again: the lives begin after 0, 1 and 2 steps of 2 batches
    for begun, fatal in ((0, 2), (1, 2), (2, None)):
        rows, inputs = train(method, tiny, stopped, fatal)
        steps = fatal or 2
        assert rows == read[2 * begun : 2 * (begun + steps)]
        wanted = seen[2 * begun : 2 * (begun + steps)]
        assert len(inputs) == len(wanted)
        assert all(
            torch.equal(a, b) for one, two in zip(inputs, wanted, strict=True) for a, b in zip(one, two, strict=True)
        )
    for path in sorted((straight / "weights").rglob("*.safetensors")):
        same = path.read_bytes() == (stopped / path.relative_to(straight)).read_bytes()
        assert same  # not of the bytes themselves, whose difference pytest would work out for minutes
    assert pq.read_table(straight / "metrics.parquet").equals(pq.read_table(stopped / "metrics.parquet"))
    last = "checkpoints/step-0000004/state.pt"
    one, two = (torch.load(folder / last, weights_only=True)["optimizer"] for folder in (straight, stopped))
    assert one["param_groups"] == two["param_groups"]
    for place, moments in one["state"].items():
        assert all(torch.equal(value, two["state"][place][name]) for name, value in moments.items())


def a_stopped_training_of_all_weights_ends_the_same(tiny):
    agree(full, tiny)


def a_stopped_training_of_an_adapter_ends_the_same(tiny):
    agree(lora, tiny)


BEGUN = "self.__dict__.setdefault('begun', step)"
FIRST = "'begun' not in self.__dict__"
LOAD_STATE = "optimizers.load_state(accelerator, optimizer, saved.state())"
LOAD_AVERAGE = "lesson.load(saved.folder)"
LOAD_RAW = "lesson.load(saved.folder / RAW)"
TRAPS = {
    a_stopped_training_of_all_weights_ends_the_same: {
        "the epoch is replayed from its start": (ACCUMULATE, "first = step *", f"first = (step - {BEGUN}) *"),
        "a micro-batch is dropped": (
            ACCUMULATE,
            "for turn in range(first, ",
            f"for turn in range(first + (step > 0 and {FIRST}) + 0 * {BEGUN}, ",
        ),
        "noise is drawn by the process": (
            "pipeline.training.noise:draw",
            "draws = generator(seed, turn)",
            "draws = torch.Generator(); draws.seed()",
        ),
        "the optimizer's moments are forgotten": (LOOP, LOAD_STATE, "pass"),
        "the counter drifts": (LOOP, "for step in range(done,", "for step in range(done + bool(done),"),
        "the schedule begins anew": (LOOP, "schedules.factor(step,", "schedules.factor(step - done,"),
        "the average begins anew": (LOOP, "ema_decay, step=done)", "ema_decay, step=0)"),
        "the average begins with the raw weights": (LOOP, LOAD_AVERAGE, LOAD_RAW),
        "the raw weights begin with the average": (LOOP, LOAD_RAW, "pass"),
        "epochs are shuffled by the process": (
            "pipeline.training.data:order",
            "default_rng([seed, epoch])",
            "default_rng()",
        ),
        "what was recorded is lost": (RECORD, '["step"] <= done', '["step"] < done'),
        "what is done again is recorded twice": (RECORD, '["step"] <= done', '["step"] <= done + 1'),
        "headers are in any order": (
            "pipeline.training.weights:_sort_header",
            'written["__metadata__"] = dict',
            "_ = dict",
        ),
    },
    a_stopped_training_of_an_adapter_ends_the_same: {
        "dropout comes from the global stream": (
            ACCUMULATE,
            "torch.default_generator.manual_seed(seed)",
            "pass",
        ),
        "the adapter's raw weights begin with the average": (LOOP, LOAD_RAW, "pass"),
        "the adapter begins anew": (LOOP, LOAD_AVERAGE, "pass"),
        "the optimizer's moments are forgotten": (LOOP, LOAD_STATE, "pass"),
        "the optimizer's moments lose precision": (
            "pipeline.training.optimizers:load_state",
            'saved["optimizer"]',
            'torch.utils._pytree.tree_map_only(torch.Tensor, lambda one: one.half().float(), saved["optimizer"])',
        ),
    },
}


def test_it_holds(check, tiny):
    check(tiny)


def test_a_planted_bug_is_found(check, bug, tiny, plant):
    with plant(*bug), pytest.raises(AssertionError):
        check(tiny)
