"""Gesso's training loop against the bare forward, backward and step, on the same tensors with the same model.

python tests/benchmarks/training_step.py [--steps N] [--threads N] [--record]

Four cases: all weights and an adapter, each of the starter's UNet at 64 pixels and of one of 96 million random weights
at 128. Both sides train at the same time, a step of one and a step of the other, so that other work on the machine
meets both. Gesso's side is its whole loop from one row of the record to the next: Parquet shards, draws, min-SNR
weights, clipping, metrics, TensorBoard; the running average is off, and what comes once (setting up, checkpoints) is
left out. A case's overhead is the median over the steps of gesso's seconds by the bare ones', less 1;
`overhead` is the largest of the four, and its limit is 0.03. The processor's seconds, which other work on the machine
changes less, are compared beside them.
"""

import argparse
import copy
import json
import os
import platform
import statistics
import tempfile
import time
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from pipeline import imaging, models
from pipeline.methods import full, lora
from pipeline.settings import Buckets
from pipeline.stage import Tools, ensure
from pipeline.starter.pictures import picture
from pipeline.training.data import Batch, Turns
from pipeline.training.job import Job
from pipeline.training.noise import Drawn, draw
from pipeline.training.objective import Objective
from pipeline.training.painter import Painter
from pipeline.training.settings import TrainSettings
from pipeline.trainset import latents, texts
from pipeline.trainset.loader import ParquetExamples
from pipeline.workspace import Workspace

ROOT = Path(__file__).parents[2]
PICTURES, BATCH = 48, 4
Clock = tuple[float, float]
WARM = 2
"""First steps that are not counted: they allocate."""


def large() -> UNet2DConditionModel:
    """A UNet of some 100 million parameters for the starter's latents and captions."""
    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=16,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(128, 256, 512),
        layers_per_block=2,
        cross_attention_dim=128,
        attention_head_dim=8,
    )


def trainset(folder: Path, side: int, prefix: str = "") -> ParquetExamples:
    """Drawn pictures of `side` pixels with their captions after a prefix, encoded by the starter into shards."""
    tools, rows = Tools(Workspace.create(folder)), []
    for seed in range(PICTURES):
        drawn = picture(seed, side=side)
        sample_id = tools.workspace.keep_original(imaging.encode_png(drawn.pixels))
        pixel_id = imaging.decode(tools.read(sample_id)).pixel_id
        rows.append(
            {
                "sample_id": sample_id,
                "pixel_id": pixel_id,
                "view": 0,
                "transforms": "[]",
                "caption": f"{prefix}{drawn.caption}",
                "repeats": 1,
            }
        )
    captions = [{"caption": one} for one in sorted({"", *(row["caption"] for row in rows)})]
    moments = ensure(latents, rows, latents.Params(buckets=Buckets(resolution=side)), tools, cache=True)  # type: ignore[arg-type]
    embeddings = ensure(texts, captions, texts.Params(), tools, cache=True)  # type: ignore[arg-type]
    return ParquetExamples(rows, moments, embeddings, digest="benchmark", scale=1.0)


def now() -> Clock:
    """Seconds on the clock, and the processor's."""
    return time.perf_counter(), time.process_time()


def since(began: Clock) -> Clock:
    """What passed since then."""
    return time.perf_counter() - began[0], time.process_time() - began[1]


class Bare:
    """A loop with nothing in it: forward, backward and step, on tensors that lie there."""

    def __init__(self, unet: Any, given: list[tuple[Batch, Drawn]], settings: TrainSettings) -> None:
        self._unet = unet.train()
        objective = Objective.of(models.load_scheduler("starter"))
        self._given = [
            (batch.text, drawn, objective.noised(drawn.latents, drawn.noise, drawn.timesteps)) for batch, drawn in given
        ]
        parameters = [one for one in unet.parameters() if one.requires_grad]
        self._optimizer = torch.optim.AdamW(parameters, lr=settings.learning_rate, fused=True)
        self.seconds: list[Clock] = []

    def step(self) -> None:
        """Take the next step and note its seconds."""
        began = now()
        text, drawn, noisy = self._given[len(self.seconds)]
        with sdpa_kernel(SDPBackend.MATH):  # as gesso's loop does with latents this small on a CPU
            answer = self._unet(noisy, drawn.timesteps, encoder_hidden_states=text).sample
        functional.mse_loss(answer, drawn.noise).backward()
        self._optimizer.step()
        self._optimizer.zero_grad()
        self.seconds.append(since(began))


class Alternating:
    """Takes a bare step whenever gesso's loop is between two of its own, and notes the seconds of gesso's."""

    def __init__(self, bare: Bare) -> None:
        self._bare = bare
        self._began: Clock | None = None
        self.seconds: list[Clock] = []

    def told(self, done: int, steps: int, _note: str) -> None:
        """The progress of a training: each of its steps ends here, and the next begins."""
        if self._began:
            self.seconds.append(since(self._began))
        if done < steps:
            self._bare.step()
            self._began = now()


def compare(method: Any, prototype: Any, examples: ParquetExamples, *, steps: int) -> dict[str, float]:
    """Seconds a step of both sides, and the median of their ratios less 1."""
    name = method.__name__.rpartition(".")[2]
    settings = TrainSettings(method=name, steps=steps + WARM, batch_size=BATCH, checkpoint_every=steps + WARM)
    turns = Turns(examples, batch_size=BATCH, seed=0)
    batches = [examples.batch(turns.rows(turn)) for turn in range(settings.steps)]
    given = [(batch, draw(batch, examples, seed=0, turn=turn)) for turn, batch in enumerate(batches)]
    other = copy.deepcopy(prototype)
    if method is lora:
        lora.add_adapters(Painter(other), settings)
    bare = Bare(other, given, settings)
    own = Alternating(bare)
    with tempfile.TemporaryDirectory() as folder:
        method.train(
            Painter(copy.deepcopy(prototype)),
            examples,
            models.load_scheduler("starter"),
            settings,
            Job(Path(folder), progress=own.told),
        )
    pairs = list(zip(own.seconds, bare.seconds, strict=True))[WARM:]
    return {
        "overhead": round(statistics.median(a[0] / b[0] for a, b in pairs) - 1, 4),
        "overhead_processor": round(statistics.median(a[1] / b[1] for a, b in pairs) - 1, 4),
        "seconds": round(statistics.median(a[0] for a, _ in pairs), 4),
        "seconds_bare": round(statistics.median(b[0] for _, b in pairs), 4),
    }


def main() -> None:
    """Measure, print one JSON object, and with --record append it to the kept records."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=100, help="steps of each side; the larger model takes a third")
    parser.add_argument("--record", action="store_true", help="append to reports/benchmarks/training_step.jsonl")
    parser.add_argument("--threads", type=int, default=1, help="of torch; more than idle cores wait for each other")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    cases = {}
    with tempfile.TemporaryDirectory() as folder:
        for size, unet, side in (
            ("starter", models.load_trainable("unet", models.locate("starter")), 64),
            ("large", large(), 128),
        ):
            examples = trainset(Path(folder) / size, side)
            for method in (full, lora):
                name = f"{method.__name__.rpartition('.')[2]}_{size}"
                cases[name] = compare(method, unet, examples, steps=asked.steps // (1 if size == "starter" else 3))
                print(name, cases[name], flush=True)  # noqa: T201 (so that one sees it go on)
    found = {
        "name": "training_step",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "overhead": max(one["overhead"] for one in cases.values()),
        "limit": 0.03,
        "cases": cases,
        "parameters_large": sum(one.numel() for one in unet.parameters()),
        "threads": torch.get_num_threads(),
        "versions": {name: metadata.version(name) for name in ("torch", "diffusers", "peft", "gesso")},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }
    line = json.dumps(found)
    print(line)  # noqa: T201 (the benchmark's result)
    if asked.record:
        with (ROOT / "reports" / "benchmarks" / "training_step.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")


if __name__ == "__main__":
    main()
