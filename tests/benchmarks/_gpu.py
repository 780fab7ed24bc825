"""What benchmarks on a GPU share: published shapes with drawn weights, a real training set, and gesso's loop, timed."""

import gc
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import _published
import torch

from pipeline import models, plan
from pipeline.methods import dreambooth, full, lora, textual_inversion
from pipeline.recipe import parse
from pipeline.run import Run
from pipeline.stage import Tools
from pipeline.steps import trainset
from pipeline.training.job import Job
from pipeline.training.painter import Painter
from pipeline.training.precision import compute_in
from pipeline.training.settings import TrainSettings
from pipeline.workspace import Workspace

DEVICE = "cuda"
WARM = 5
"""Steps that are not counted."""
METHODS: dict[str, Any] = {one.__name__.rpartition(".")[2]: one for one in (dreambooth, full, lora, textual_inversion)}


@dataclass(frozen=True)
class Shape:
    """How a family is trained: pixels of originals and of what the model sees, and examples a step."""

    side: int
    resolution: int
    batch: int
    few: int
    """Examples a step where memory is measured."""


SHAPES = {"sd1": Shape(1024, 512, 16, 4), "sdxl": Shape(1280, 1024, 4, 1)}


class Done(Exception):  # noqa: N818 - nothing went wrong
    """The steps that were wanted are done, before gigabytes of weights are written."""


@dataclass(frozen=True)
class Made:
    """A base model's folder, the pictures, the training set made of them, and how fast it was."""

    base: Path
    files: list[tuple[Path, str]]
    examples: Any
    scheduler: Any
    caching: float
    """Pictures a second of the step that decodes, cuts and encodes them and reads their captions, models loaded."""


def ready(kind: Any, root: Path, *, count: int) -> Made:
    """Draw a model and pictures below `root`, and bring them through the real steps up to the training set."""
    base, photos, shape = root / "base", root / "pictures", SHAPES[kind.name]
    _published.write(kind, base, DEVICE, painter=False)
    files = _published.pictures(photos, count=count, side=shape.side)
    recipe = {
        "name": "gpu",
        "sources": [{"path": str(photos), "rights": {"license": "CC0-1.0"}, "trigger": "<new>"}],
        "rights": {"allow": ["CC0-1.0"]},
        "dedup": {"near": None},
        "split": {"held_out": 0.0},
        "caption": {"captioner": "sidecar", "compose": "{trigger} {body}"},
        "review": {"require": "none"},
        "buckets": {"resolution": shape.resolution, "step": 64, "max_aspect": 1.0},
        "base_model": {"id": str(base), "scratch": True},
        "train": {"method": "full", "steps": 1},
    }
    run = Run.create(Workspace.create(root / "work"), parse(recipe), command="benchmark")
    tools = Tools(run.workspace, device=DEVICE)
    for step in (*plan.STEPS["prepare"], "review"):
        plan.do(run, step, tools)
    began = time.perf_counter()
    plan.do(run, "trainset", tools)
    seconds = time.perf_counter() - began
    models.release()
    examples = trainset.examples(run, "train", tools)
    examples.batch(list(range(len(examples.sizes))))  # read once, before anything is timed
    return Made(base, files, examples, models.load_scheduler(str(base)), count / seconds)


def settings_of(chosen: dict[str, Any], *, steps: int, batch: int) -> TrainSettings:
    """Settings in bf16 with a rate that keeps drawn weights in bounds, and what is chosen."""
    shared = {"mixed_precision": "bf16", "learning_rate": 1e-6, "warmup_steps": 0, "max_loss_rise": None}
    return TrainSettings(**{**shared, **chosen, "steps": steps, "batch_size": batch, "checkpoint_every": steps})


def painter_of(kind: Any, settings: TrainSettings, base: Path | None = None) -> Painter:
    """A painter with drawn weights on the GPU, as a run would load it; from a `base` its text encoders."""
    unet = _published.unet(kind, DEVICE)
    compute_in(unet, settings.mixed_precision, frozen=settings.frozen)
    if base is None:
        return Painter(unet)
    return Painter(unet, models.load_texts(str(base), device=DEVICE), zeros=kind.name == "sdxl")


class Timed:
    """Notes when the first steps of a training are over, and the last."""

    def __init__(self) -> None:
        self.began = self.ended = 0.0

    def told(self, done: int, _steps: int, _note: str) -> None:
        """The progress of a training, which on a GPU is told of a step once the next one was launched."""
        if done == WARM - 1:
            self.began = now()

    def end(self, *_: object) -> None:
        """Note that the last step is over, and leave."""
        self.ended = now()
        raise Done


def train(painter: Painter, made: Made, settings: TrainSettings) -> float:
    """Seconds a step of gesso's loop."""
    own = Timed()
    with tempfile.TemporaryDirectory() as folder:
        job = Job(Path(folder), progress=own.told, on_checkpoint=own.end)
        try:
            METHODS[settings.method].train(painter, made.examples, made.scheduler, settings, job)
        except Done:
            return (own.ended - own.began) / max(1, settings.steps - WARM)
    raise RuntimeError("a training did not come to its end")


def now() -> float:
    """Seconds on the clock, once the GPU has done what it was given."""
    torch.cuda.synchronize()
    return time.perf_counter()


@contextmanager
def room() -> Iterator[None]:
    """Memory of the GPU that nothing is left in, before and after."""
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    yield
    gc.collect()
    torch.cuda.empty_cache()
