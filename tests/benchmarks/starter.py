"""How good the starter models are on pictures and prompts that none of them has trained on, how large and how quick.

python tests/benchmarks/starter.py [--weights DIR] [--grid FILE] [--record]

Everything is judged by what was drawn: the VAE by its PSNR, the CLIP by finding each of 100 captions' own picture, the
BLIP by the words of its captions, the UNet by a judge that has learned from nothing but the generator's truth
(`judge_right` is what it sees in flawless pictures). `load_seconds` is the whole pipeline from its files, imports not
counted, and `sample_seconds` a picture of 64 px in 20 steps, both medians. `drawn_a_second` is the generator's speed at
64 px on one core. `met` holds every bar against its figure.
About 4 minutes on two cores.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from pipeline.model_files import locate
from pipeline.starter import parts, pictures, quality

ROOT = Path(__file__).parents[2]
BARS = {
    "vae_psnr_db": 30.0,
    "clip_retrieval_of_100": 0.85,
    "blip_right/shape": 0.95,
    "blip_right/color": 0.95,
    "blip_right/size": 0.95,
    "blip_right/place": 0.95,
    "blip_right/background": 0.95,
    "blip_right/all": 0.85,
    "blip_right/two_things": 0.75,
    "unet_right/background": 0.95,
    "unet_right/color": 0.92,
    "unet_right/shape": 0.85,
    "unet_right/place": 0.80,
    "unet_right/both_colors": 0.70,
    "drawn_a_second": 500.0,
}
"""The least that is asked for."""
MOST = {"mib": 40.0, "load_seconds": 3.0, "sample_seconds": 1.0}
"""The most that is allowed."""
TIMES, SHOWN = 5, 8
DRAWN = 1000
"""Pictures that are drawn to measure the generator."""


def seconds(do: Callable[[], Any]) -> float:
    """Median seconds of a call, after one that does not count."""
    do()
    taken = []
    for _ in range(TIMES):
        began = time.perf_counter()
        do()
        taken.append(time.perf_counter() - began)
    return round(statistics.median(taken), 3)


def speed(model: Path) -> dict[str, float]:
    """Seconds to load the pipeline and to paint with it, and pictures drawn in a second."""

    def load() -> StableDiffusionPipeline:
        return StableDiffusionPipeline.from_pretrained(model, dtype=torch.float32, local_files_only=True)

    pipe = load()
    pipe.set_progress_bar_config(disable=True)
    return {
        "load_seconds": seconds(load),
        "sample_seconds": seconds(lambda: pipe("a red circle on a blue background", num_inference_steps=20)),
        "drawn_a_second": round(DRAWN / seconds(lambda: [pictures.picture(seed) for seed in range(DRAWN)])),
    }


def grid(model: Path, file: Path) -> None:
    """Paint the first held-out prompts, a row of one thing and a row of two, as one picture twice as large."""
    pipe = StableDiffusionPipeline.from_pretrained(model, dtype=torch.float32, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    rows = [np.concatenate(quality.paint(pipe, quality.held_out(things, SHOWN)), axis=1) for things in quality.SEEDS]
    whole = Image.fromarray(np.concatenate(rows))
    whole.resize((2 * whole.width, 2 * whole.height), Image.Resampling.NEAREST).save(file)


def met(found: dict[str, Any]) -> dict[str, bool]:
    """Whether each bar is met."""

    def of(name: str) -> float:
        whole, _, part = name.partition("/")
        return float(found[whole][part] if part else found[whole])

    least = {name: of(name) >= bar for name, bar in BARS.items()}
    return least | {name: of(name) <= bar for name, bar in MOST.items()}


def main() -> None:
    """Measure, print one JSON object, and with --record append it to the kept records."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, help="folder with sd, clip, blip and judge; default: those that ship")
    parser.add_argument("--grid", type=Path, help="also write a picture of what it paints here")
    parser.add_argument("--record", action="store_true", help="append to reports/benchmarks/starter.jsonl")
    asked = parser.parse_args()
    weights = asked.weights or locate("starter").parent
    files = [path for path in weights.rglob("*") if path.is_file()]
    with tempfile.TemporaryDirectory() as work:
        found = parts.measure(weights, Path(work), scale=1.0, say=print)
    found |= {"mib": round(sum(path.stat().st_size for path in files) / 2**20, 1), **speed(weights / "sd")}
    if asked.grid:
        grid(weights / "sd", asked.grid)
    told = {
        "name": "starter",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        **found,
        "bars": BARS | MOST,
        "met": met(found),
        "threads": torch.get_num_threads(),
        "versions": {name: metadata.version(name) for name in ("torch", "diffusers", "transformers", "gesso")},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }
    line = json.dumps(told)
    print(line)  # noqa: T201 (the benchmark's result)
    if asked.record:
        with (ROOT / "reports" / "benchmarks" / "starter.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")


if __name__ == "__main__":
    main()
