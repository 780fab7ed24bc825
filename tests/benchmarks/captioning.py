"""The captioner against a loop over single pictures, and against the bare `generate` on the same batches.

python tests/benchmarks/captioning.py [--model starter] [--pictures 128] [--side 256] [--batch 32] [--beams 3]
    [--rounds 3] [--device cpu] [--record]

All three say the same captions of the same decoded pictures. The loop is what a script does: one picture through the
processor, `generate`, and the tokenizer. The bare side has its pixels ready and decodes no words. They take turns;
`times_loop` and `of_bare` are the medians of the rounds' ratios of pictures a second, whose limits are 3 and 0.95.
`of_bare_by_work` is the same of the processor's seconds, which other work on the machine hardly touches.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from pipeline import models
from pipeline.captioners import blip
from pipeline.starter.pictures import picture

ROOT = Path(__file__).parents[2]
LIMITS = {"times_loop": 3.0, "of_bare": 0.95}


def main() -> None:
    """Measure, print one JSON object, and with --record append it to the kept records."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="starter", help="starter, a folder or a hub id")
    parser.add_argument("--pictures", type=int, default=128, help="pictures a round")
    parser.add_argument("--side", type=int, default=256, help="their side, px")
    parser.add_argument("--batch", type=int, default=32, help="pictures that are looked at together")
    parser.add_argument("--beams", type=int, default=3, help="beams; 1 is greedy")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each side")
    parser.add_argument("--device", default="cpu", help="where the model works, such as cuda")
    parser.add_argument("--record", action="store_true", help="append to reports/benchmarks/captioning.jsonl")
    asked = parser.parse_args()
    rows = [{"pixels": picture(seed, side=asked.side).pixels} for seed in range(asked.pictures)]
    params = blip.Params(model=asked.model, num_beams=asked.beams, batch_size=asked.batch)
    dtype = models.dtype_of(params.dtype, asked.device)
    model, processor = models.load_blip(asked.model, device=asked.device, dtype=dtype)
    how = {"num_beams": asked.beams, "max_new_tokens": params.max_tokens, "max_length": None, "do_sample": False}

    def seen(part: list[Any]) -> Any:
        pixels = processor(images=[row["pixels"].copy() for row in part], return_tensors="pt")["pixel_values"]
        return pixels.to(asked.device, model.dtype)

    batches = [seen(rows[start : start + asked.batch]) for start in range(0, len(rows), asked.batch)]

    def said(ids: Any) -> list[str]:
        return [" ".join(one.split()) for one in processor.batch_decode(ids[:, 1:], skip_special_tokens=True)]

    @torch.inference_mode()
    def loop() -> list[str]:
        return [text for row in rows for text in said(model.generate(pixel_values=seen([row]), **how))]

    @torch.inference_mode()
    def bare() -> list[str]:
        ids = [model.generate(pixel_values=pixels, **how) for pixels in batches]
        if asked.device.startswith("cuda"):
            torch.cuda.synchronize()
        return [str(len(one)) for one in ids]

    sides: dict[str, Callable[[], list[str]]] = {
        "own": lambda: blip.caption(rows, params, device=asked.device),
        "bare": bare,
        "loop": loop,
    }
    texts = {name: side() for name, side in sides.items()}  # warm: threads, allocators, kernels
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    work: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(asked.rounds):
        for name in sorted(sides, reverse=bool(number % 2)):
            began, worked = time.perf_counter(), time.process_time()
            sides[name]()
            seconds[name].append(time.perf_counter() - began)
            work[name].append(time.process_time() - worked)
    found: dict[str, Any] = {
        "name": "captioning",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "times_loop": _ratio(seconds["loop"], seconds["own"]),
        "of_bare": _ratio(seconds["bare"], seconds["own"]),
        "of_bare_by_work": _ratio(work["bare"], work["own"]),
        "limits": LIMITS,
        "pictures_a_second": {name: round(len(rows) / statistics.median(taken), 2) for name, taken in seconds.items()},
        "same_words_as_loop": sum(one == other for one, other in zip(texts["own"], texts["loop"], strict=True)),
        **{name: getattr(asked, name) for name in ("model", "pictures", "side", "batch", "beams", "rounds")},
        "device": torch.cuda.get_device_name() if asked.device.startswith("cuda") else asked.device,
        "dtype": dtype,
        "threads": torch.get_num_threads(),
        "load": [round(one, 1) for one in os.getloadavg()],
        "versions": {name: metadata.version(name) for name in ("torch", "transformers", "gesso")},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }
    line = json.dumps(found)
    print(line)  # noqa: T201 (the benchmark's result)
    if asked.record:
        with (ROOT / "reports" / "benchmarks" / "captioning.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def _ratio(other: list[float], own: list[float]) -> float:
    return round(statistics.median(one / two for one, two in zip(other, own, strict=True)), 3)


if __name__ == "__main__":
    main()
