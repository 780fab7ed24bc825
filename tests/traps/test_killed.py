"""Item 10 of the notes for real: a process that is killed in the middle of its first and of its second life."""

import hashlib
import os
import signal
import sys
import traceback

import pyarrow.parquet as pq
import pytest
import torch
from diffusers import DDPMScheduler

from pipeline import atomic
from pipeline.methods import full, lora
from pipeline.training import checkpoints, optimizers
from pipeline.training.ahead import Ahead
from pipeline.training.job import Job
from pipeline.training.painter import Painter
from pipeline.training.settings import TrainSettings

METHODS = {"full": full, "lora": lora}
SETTINGS = {
    "steps": 7,
    "batch_size": 2,
    "gradient_accumulation": 3,
    "learning_rate": 1e-2,
    "lr_schedule": "cosine",
    "warmup_steps": 1,
    "checkpoint_every": 2,
    "dropout": 0.2,
    "caption_dropout": 0.3,
    "rank": 2,
}
CASES = {
    "all weights, averaged": {"method": "full", "ema_decay": 0.9},
    "an adapter, averaged": {"method": "lora", "ema_decay": 0.9},
    "an adapter in bf16": {"method": "lora", "mixed_precision": "bf16"},
    "all weights by SGD": {"method": "full", "optimizer": "sgd", "checkpoint_every": 3},
}
# events are counted from 1 over a life: an epoch has 5 batches, a step 3, and a checkpoint renames metrics and folder
KILLS = {
    "between checkpoints and within a step": [("batch", 11), ("batch", 8)],
    "between the passes and the step": [("step", 4), ("step", 2)],
    "while a checkpoint is written": [("save", 2), ("save", 1)],
    "before a checkpoint takes its name": [("rename", 4), ("rename", 2)],
}


def live(tiny, folder, settings, kill=None):
    """Train in a child process that kills itself at the nth event; what its probe saw is appended to `probe`."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == (-signal.SIGKILL if kill else 0)
        return
    try:
        _train(tiny, folder, settings, kill)
    except BaseException:
        traceback.print_exc(file=sys.__stderr__)
        os._exit(1)
    os._exit(0)


def _train(tiny, folder, settings, kill):
    counts = dict.fromkeys(("batch", "step", "save", "rename"), 0)

    def event(name):
        counts[name] += 1
        if kill == (name, counts[name]):
            os.kill(os.getpid(), signal.SIGKILL)

    def before(owner, attribute, name):
        true = getattr(owner, attribute)

        def probed(*given, **named):
            event(name)
            return true(*given, **named)

        setattr(owner, attribute, probed)

    unet, examples = tiny.unet(), tiny.examples()
    before(optimizers, "clip", "step")
    before(torch, "save", "save")
    before(os, "replace", "rename")
    before(os, "rename", "rename")
    true = Ahead.get
    folder.mkdir(exist_ok=True)
    # unbuffered: what was written stays when the process is killed
    probe = (folder / "probe").open("ab", buffering=0)
    probe.write(b"born\n")

    def read(self, turn):
        event("batch")
        batch, drawn = true(self, turn)
        probe.write(f"{batch.rows}\n".encode())
        return batch, drawn

    def seen(_, given):
        hashed = [hashlib.sha256(one.numpy().tobytes()).hexdigest() for one in given[:2]]
        probe.write(f"{hashed}\n".encode())

    Ahead.get = read
    unet.register_forward_pre_hook(seen)
    METHODS[settings.method].train(
        Painter(unet), examples, DDPMScheduler(), settings, Job(folder, header={"base": "tiny"})
    )


def probed(folder):
    """Of each life what was read and what the model saw, in turns."""
    lives = (folder / "probe").read_text().split("born\n")[1:]
    return [life.splitlines() for life in lives]


@pytest.fixture(scope="module", params=CASES.values(), ids=CASES)
def undisturbed(request, tmp_path_factory, tiny_of):
    settings = TrainSettings(**{**SETTINGS, **request.param})
    folder = tmp_path_factory.mktemp("straight")
    live(tiny_of(folder), folder, settings)
    return settings, folder


@pytest.mark.parametrize("kills", KILLS.values(), ids=KILLS)
def test_a_training_killed_twice_ends_bitwise_the_same(undisturbed, tiny, kills):
    settings, straight = undisturbed
    killed = tiny.folder / "killed"
    for kill in (*kills, None):
        live(tiny, killed, settings, kill)
    files = sorted(path.relative_to(straight) for path in (straight / "weights").rglob("*") if path.is_file())
    assert len(files) >= 2
    for path in files:
        assert (killed / path).read_bytes() == (straight / path).read_bytes(), path
    assert pq.read_table(killed / "metrics.parquet").equals(pq.read_table(straight / "metrics.parquet"))
    last = f"checkpoints/step-{settings.steps:07d}/state.pt"
    one, two = (torch.load(folder / last, weights_only=True)["optimizer"] for folder in (straight, killed))
    assert one["param_groups"] == two["param_groups"]
    assert one["state"].keys() == two["state"].keys()
    for place, moments in one["state"].items():
        for name, value in moments.items():
            assert value is None or torch.equal(value, two["state"][place][name])
    # each life is a stretch of the undisturbed one: the same samples in the same order with the same noise
    (whole,), lives = probed(straight), probed(killed)
    begun = [
        next(place for place in range(len(whole)) if whole[place : place + len(life)] == life and len(life) > 1)
        for life in lives
    ]
    assert begun[0] == 0 < begun[-1]
    assert begun == sorted(begun)
    assert begun[-1] + len(lives[-1]) == len(whole)
    each = 2 * settings.gradient_accumulation
    assert all(place % (each * settings.checkpoint_every) == 0 for place in begun)


def test_nothing_half_written_is_left_once_it_was_swept(undisturbed, tiny):
    settings, straight = undisturbed
    killed = tiny.folder / "killed"
    live(tiny, killed, settings, ("save", 1))
    assert checkpoints.latest(killed) is None
    assert atomic.sweep(killed) == 1
    live(tiny, killed, settings)

    def names(folder):
        return {path.relative_to(folder) for path in folder.rglob("*") if "tensorboard" not in path.parts}

    assert names(killed) == names(straight)
