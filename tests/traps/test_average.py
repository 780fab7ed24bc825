"""Item 7 of the notes: the running average of the weights."""

import pytest
import torch
from diffusers import DDPMScheduler
from safetensors.torch import load_file

from pipeline.methods import full, lora
from pipeline.training.average import Average
from pipeline.training.job import Job
from pipeline.training.painter import Painter
from pipeline.training.settings import TrainSettings

DECAY = 0.4
SETTINGS = {
    "steps": 5,
    "batch_size": 2,
    "learning_rate": 1e-2,
    "warmup_steps": 0,
    "checkpoint_every": 1,
    "keep_checkpoints": 9,
    "ema_decay": DECAY,
    "rank": 2,
    "dropout": 0.3,
}
FILES = {
    full: ("unet/diffusion_pytorch_model.safetensors", "raw/unet/diffusion_pytorch_model.safetensors"),
    lora: ("pytorch_lora_weights.safetensors", "raw/pytorch_lora_weights.safetensors"),
}
AVERAGE = "pipeline.training.average:Average."
LOOP = "pipeline.training.loop:run"


def train(method, tiny, folder, **more):
    settings = TrainSettings(method=method.__name__.rpartition(".")[2], **SETTINGS)
    unet = tiny.unet()
    method.train(Painter(unet), tiny.examples(), DDPMScheduler(), settings, Job(folder, **more))
    return unet


def saved_averages_are_those_of_the_saved_raw_weights(tiny):
    """With diffusers' rising decay: first the weights themselves, then min(DECAY, (1 + n) / (10 + n))."""
    for method, (averaged, raw) in FILES.items():
        folder = tiny.folder / method.__name__
        unet = train(method, tiny, folder)
        wanted = load_file(folder / "checkpoints" / "step-0000001" / raw)
        moved = 0.0
        for step in range(1, 6):
            at = folder / "checkpoints" / f"step-{step:07d}"
            now, decay = load_file(at / raw), min(DECAY, step / (9 + step)) if step > 1 else 0.0
            wanted = {name: decay * wanted[name] + (1 - decay) * value for name, value in now.items()}
            found = load_file(at / averaged)
            assert all(torch.allclose(value, wanted[name], atol=1e-6) for name, value in found.items())
            moved = max(float((now[name] - value).abs().max()) for name, value in found.items())
        assert moved > 1e-4
        last = load_file(folder / "weights" / averaged)
        assert all(torch.equal(value, found[name]) for name, value in last.items())
        held = dict(unet.named_parameters())
        if method is full:
            assert all(torch.equal(value, last[name]) for name, value in held.items())


def looking_at_the_average_changes_no_step(tiny):
    """The weights of one training that is looked at and stored after each step, and of one only at the end, agree."""
    for method, (_, raw) in FILES.items():
        looked, alone = tiny.folder / f"{method.__name__}-looked", tiny.folder / f"{method.__name__}-alone"
        train(method, tiny, looked, on_checkpoint=lambda step, unet: None)
        settings = {**SETTINGS, "checkpoint_every": 99, "method": method.__name__.rpartition(".")[2]}
        method.train(Painter(tiny.unet()), tiny.examples(), DDPMScheduler(), TrainSettings(**settings), Job(alone))
        one, two = load_file(looked / "weights" / raw), load_file(alone / "weights" / raw)
        assert all(torch.equal(value, two[name]) for name, value in one.items())


def own_weights_come_back_bitwise(_tiny):
    own = [torch.nn.Parameter(torch.rand(5)), torch.nn.Parameter(torch.rand(2, 3))]
    average = Average(own, decay=0.5, step=7)
    for one in own:
        one.data.add_(1 / 3)
    average.update()
    before = [one.detach().clone() for one in own]
    with average.applied():
        assert not any(torch.equal(one, two) for one, two in zip(own, before, strict=True))
    assert all(torch.equal(one, two) for one, two in zip(own, before, strict=True))


NOT_COPIED = "self._ema.shadow_params = [one.detach().cpu() for one in self._parameters]"
SAVE_RAW = """                lesson.save(target / RAW, note)
"""
TRAPS = {
    saved_averages_are_those_of_the_saved_raw_weights: {
        "`detach().cpu()` is no copy": (AVERAGE + "__init__", "self._ema.optimization_step = step", NOT_COPIED),
        "the raw weights are lost": (LOOP, SAVE_RAW, f"                with average.applied():\n    {SAVE_RAW}"),
        "the average is kept after it was saved": (LOOP, SAVE_RAW, f"                average.apply()\n{SAVE_RAW}"),
        "raw weights are saved as the average": (
            AVERAGE + "applied",
            "self._ema.copy_to(self._parameters)",
            "pass",
        ),
        "taken before the step": (LOOP, "launched = gradients", "average.update(); launched = gradients"),
        "never taken": (LOOP, "average.update()", "pass"),
        "taken of one step in two": (LOOP, "average.update()", "step % 2 and average.update()"),
        "the decay does not rise": (AVERAGE + "__init__", "foreach=True)", "foreach=True, min_decay=decay)"),
        "the model is left with raw weights": (LOOP, "        average.apply()", "        pass"),
    },
    looking_at_the_average_changes_no_step: {
        "own weights are not put back": (AVERAGE + "applied", "self._ema.restore(self._parameters)", "pass"),
        "the average becomes the weights": (
            LOOP,
            "average.update()",
            "average.update()\n                if checkpoints.due(step + 1, settings): average.apply()",
        ),
        "dropout stays off": (LOOP, "model.train()\n                    record", "record"),
    },
    own_weights_come_back_bitwise: {
        "not put back": (AVERAGE + "applied", "self._ema.restore(self._parameters)", "pass"),
        "put back in half precision": (
            AVERAGE + "applied",
            "self._ema.store(self._parameters)",
            "self._ema.store([one.half() for one in self._parameters])",
        ),
        "not swapped": (AVERAGE + "applied", "self._ema.copy_to(self._parameters)", "pass"),
    },
}


def test_it_holds(check, tiny):
    check(tiny)


def test_a_planted_bug_is_found(check, bug, tiny, plant):
    with plant(*bug), pytest.raises(AssertionError):
        check(tiny)
