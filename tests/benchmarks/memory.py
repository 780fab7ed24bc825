"""Peak memory of a training by method and by what saves memory, each in a process of its own.

python tests/benchmarks/memory.py [--case NAME] [--steps N] [--bf16] [--record]

The UNet has 96 million random weights (`large` of training_step.py), its latents are of pictures of 128 px, a batch is
4, and the rest is the starter's. Each case trains a few steps from the cached training set, with checkpoint. Peaks are
of the whole process, as the kernel counts them; `before` is what the process held with its imports and the training
set ready and no model loaded, so `peak_mib - before_mib` is what the training takes. `weights_mib` are the UNet's.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from training_step import BATCH, large, trainset

from pipeline import models
from pipeline.memory import peak_mib
from pipeline.methods import dreambooth, full, lora, textual_inversion
from pipeline.training.job import Job
from pipeline.training.painter import Painter
from pipeline.training.settings import TrainSettings

ROOT = Path(__file__).parents[2]
MIB = 2**20
METHODS = {one.__name__.rpartition(".")[2]: one for one in (dreambooth, full, lora, textual_inversion)}
CASES: dict[str, dict[str, Any]] = {
    "full": {"method": "full"},
    "full, running average": {"method": "full", "ema_decay": 0.999},
    "full, sgd": {"method": "full", "optimizer": "sgd"},
    "full, adafactor": {"method": "full", "optimizer": "adafactor"},
    "full, checkpointing": {"method": "full", "gradient_checkpointing": True},
    "full, adafactor, checkpointing": {"method": "full", "optimizer": "adafactor", "gradient_checkpointing": True},
    "full, bf16": {"method": "full", "mixed_precision": "bf16"},
    "full, all that saves": {
        "method": "full",
        "optimizer": "adafactor",
        "gradient_checkpointing": True,
        "mixed_precision": "bf16",
    },
    "lora": {"method": "lora"},
    "lora, dora": {"method": "lora", "use_dora": True},
    "lora, text encoder": {"method": "lora", "text_encoder": True},
    "lora, checkpointing": {"method": "lora", "gradient_checkpointing": True},
    "lora, checkpointing, bf16": {"method": "lora", "gradient_checkpointing": True, "mixed_precision": "bf16"},
    "dreambooth": {"method": "dreambooth", "prior_weight": 0.0},
    "textual_inversion": {"method": "textual_inversion", "placeholder": "<new>", "initial_words": "a"},
}
"""Settings of `train` by the name of a row."""


def measure(name: str, steps: int) -> dict[str, float]:
    """What one case takes, in MiB; of this process."""
    chosen = CASES[name]
    settings = TrainSettings(steps=steps, batch_size=BATCH, checkpoint_every=steps, **chosen)
    reads = settings.text_encoder or settings.method == "textual_inversion"
    with tempfile.TemporaryDirectory() as folder:
        examples = trainset(Path(folder) / "set", 128, prefix="<new> ")
        models.release()
        peak_mib()  # which forgets the peak of the caching
        before = peak_mib()
        unet = large()
        weights = sum(one.numel() * one.element_size() for one in unet.parameters())
        texts = models.load_painter("starter", reads=True).texts if reads else None
        METHODS[settings.method].train(
            Painter(unet, texts), examples, models.load_scheduler("starter"), settings, Job(Path(folder) / "training")
        )
        peak = peak_mib()
    return {
        "before_mib": round(before),
        "peak_mib": round(peak),
        "training_mib": round(peak - before),
        "weights_mib": round(weights / MIB),
    }


def main() -> None:
    """Measure, print one JSON object, and with --record append it to the kept records."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=CASES, help="one case alone, in this process")
    parser.add_argument("--steps", type=int, default=3, help="of each training")
    parser.add_argument("--bf16", action="store_true", help="these too: without units for it a CPU takes many minutes")
    parser.add_argument("--record", action="store_true", help="append to reports/benchmarks/memory.jsonl")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.case:
        print(json.dumps(measure(asked.case, asked.steps)))  # noqa: T201 (what the process that asked reads)
        return
    rows = {}
    for name in (one for one, chosen in CASES.items() if asked.bf16 or "mixed_precision" not in chosen):
        command = [sys.executable, __file__, "--case", name, "--steps", str(asked.steps)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        rows[name] = json.loads(done.stdout.splitlines()[-1])
        print(name, rows[name], flush=True)  # noqa: T201 (so that one sees it go on)
    found = {
        "name": "memory",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cases": rows,
        "batch": BATCH,
        "versions": {name: metadata.version(name) for name in ("torch", "diffusers", "peft", "gesso")},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }
    line = json.dumps(found)
    print(line)  # noqa: T201 (the benchmark's result)
    if asked.record:
        with (ROOT / "reports" / "benchmarks" / "memory.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")


if __name__ == "__main__":
    main()
