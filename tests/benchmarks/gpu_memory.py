"""Peak memory of a GPU by method and by what saves memory, for the published shapes of Stable Diffusion 1.5 and XL.

python tests/benchmarks/gpu_memory.py [--family sd1] [--record]

The weights are drawn, not learned, which changes no byte. Each case trains two steps from the cached training set (sd1:
512 px, four examples a step; sdxl: 1,024 px, one), in bf16 where its name does not say otherwise. `peak` is the most
that torch reserved on the GPU, in MiB; CUDA's own context comes on top, and `told` is what gesso says before a
training, with 600 MiB for that.
"""

import argparse
import json
import tempfile
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import _gpu
import _published
import torch

from pipeline import advice
from pipeline.training.footprint import footprint
from pipeline.training.settings import TrainSettings

ROOT = Path(__file__).parents[2]
MIB = 2**20
LIGHT = {"gradient_checkpointing": True}
WORD = {"method": "textual_inversion", "placeholder": "<new>", "initial_words": "a"}
CASES: dict[str, dict[str, Any]] = {
    "full": {"method": "full"},
    "full, running average": {"method": "full", "ema_decay": 0.999},
    "full, checkpointing": {"method": "full", **LIGHT},
    "full, adamw8bit, checkpointing": {"method": "full", "optimizer": "adamw8bit", **LIGHT},
    "full, adafactor, checkpointing": {"method": "full", "optimizer": "adafactor", **LIGHT},
    "full, float32": {"method": "full", "mixed_precision": "no"},
    "lora": {"method": "lora"},
    "lora, dora": {"method": "lora", "use_dora": True},
    "lora, text encoders": {"method": "lora", "text_encoder": True},
    "lora, checkpointing": {"method": "lora", **LIGHT},
    "lora, float32": {"method": "lora", "mixed_precision": "no"},
    "dreambooth": {"method": "dreambooth", "prior_weight": 0.0},
    "textual_inversion": WORD,
    "textual_inversion, checkpointing": {**WORD, **LIGHT},
}
"""Settings of `train` by the name of a row."""


def told(kind: Any, settings: TrainSettings) -> float:
    """MiB that gesso says the training will take."""
    shape = _gpu.SHAPES[kind.name]
    unet, texts = _published.shapes(kind)
    reads = settings.text_encoder or settings.method == "textual_inversion"
    side = shape.resolution // 8
    found = footprint(
        unet, kind.published["unet"], settings, size=(side, side), texts=texts if reads else None, cpu=False
    )
    return (found.peak(shape.few) + advice.LIBRARIES["cuda"]) / MIB


def measure(kind: Any, made: _gpu.Made, chosen: dict[str, Any]) -> dict[str, Any]:
    """What one case takes and is said to take."""
    settings = _gpu.settings_of(chosen, steps=2, batch=_gpu.SHAPES[kind.name].few)
    reads = settings.text_encoder or settings.method == "textual_inversion"
    with _gpu.room():
        try:
            _gpu.train(_gpu.painter_of(kind, settings, made.base if reads else None), made, settings)
        except Exception as error:  # the card may be too small, or a package not there
            return {"error": f"{type(error).__name__}: {error}"[:300]}
        return {"peak": round(torch.cuda.max_memory_reserved() / MIB), "told": round(told(kind, settings))}


def main() -> None:
    """Measure, print one JSON object, and with --record append it to the kept records."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", choices=_gpu.SHAPES, default="sd1", help="whose shapes")
    parser.add_argument("--record", action="store_true", help="append to reports/benchmarks/gpu_memory.jsonl")
    asked = parser.parse_args()
    if not torch.cuda.is_available():
        parser.exit(0, "no GPU is at hand: nothing is measured\n")
    kind, rows = _published.KINDS[asked.family], {}
    with tempfile.TemporaryDirectory() as root:
        made = _gpu.ready(kind, Path(root), count=4)
        for name, chosen in CASES.items():
            rows[name] = measure(kind, made, chosen)
            print(name, rows[name], flush=True)  # noqa: T201 (so that one sees it go on)
    found = {
        "name": "gpu_memory",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "family": asked.family,
        "batch": _gpu.SHAPES[asked.family].few,
        "resolution": _gpu.SHAPES[asked.family].resolution,
        "mib": rows,
        "gpu": torch.cuda.get_device_name(),
        "versions": {name: metadata.version(name) for name in ("torch", "diffusers", "peft", "transformers")},
    }
    line = json.dumps(found)
    print(line)  # noqa: T201 (the benchmark's result)
    if asked.record:
        with (ROOT / "reports" / "benchmarks" / "gpu_memory.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")


if __name__ == "__main__":
    main()
