"""Memory and time of each step at 1,000 and at 10,000 pictures: memory must not grow with their number.

python tests/benchmarks/growth.py [--pictures 1000 10000] [--record]

Drawn pictures of 64 px with captions beside them go through every step of a plain run with the starter models, each
number in a process of its own. A step's peak is the highest resident memory while it ran (Linux forgets the mark
before it); some 400 MiB of that are files of torch and other libraries. What training has read of latents and texts
stays in memory, up to `loader.IN_MEMORY_BYTES`, so it grows with the steps, too. `peak_ratio` is the largest of the
steps' peaks at the larger number over that at the smaller, and `peak_grew_mib` the largest difference;
`seconds_a_picture` is of the whole run, but for training and evaluation, which do not look at all pictures.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from flows.settings import quiet
from pipeline import memory, plan
from pipeline.recipe import parse
from pipeline.run import Run
from pipeline.stage import Tools
from pipeline.starter import collection
from pipeline.workspace import Workspace

ROOT = Path(__file__).parents[2]
FEW_STEPS = ("train", "evaluate")


def run(count: int, root: Path) -> dict[str, Any]:
    """Seconds and peak MiB of each step over so many pictures, in this process."""
    collection.plain(root / "photos", count=count)
    recipe = parse(
        {
            "name": "growth",
            "sources": [{"path": str(root / "photos"), "rights": {"license": "CC0-1.0"}}],
            "rights": {"allow": ["CC0-1.0"]},
            "dedup": {"near": {"distance": 0, "colour": 0}},
            "buckets": {"resolution": 64, "step": 8},
            "train": {"steps": 2, "batch_size": 2, "rank": 4},
            "evaluate": {"prompts": ["a red circle"], "seeds": [1], "steps": 2},
        }
    )
    workspace = Workspace.create(root / "work")
    made, tools = Run.create(workspace, recipe, command="growth"), Tools(workspace, workers=os.cpu_count() or 1)
    seconds, peaks = {}, {}
    for step in plan.ALL_STEPS:
        memory.peak_mib()
        done, began = len(made.stats()), time.perf_counter()
        plan.do(made, step, tools)
        seconds[step] = round(time.perf_counter() - began, 2)
        peaks[step] = round(max(memory.peak_mib(), *(one.peak_mib for one in made.stats()[done:]), 0.0), 1)
    return {"seconds": seconds, "peak_mib": peaks, "kept": len(made.rows("kept")), "edges": len(made.rows("edges"))}


def apart(count: int) -> dict[str, Any]:
    """The same in a process of its own."""
    words = [sys.executable, __file__, "--one", str(count)]
    done = subprocess.run(words, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Measure, print one JSON object, and with --record append it to the kept records."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, nargs=2, default=(1000, 10_000), help="the two numbers of pictures")
    parser.add_argument("--one", type=int, help="measure this number alone, in this process")
    parser.add_argument("--record", action="store_true", help="append to reports/benchmarks/growth.jsonl")
    asked = parser.parse_args()
    quiet()  # for the processes that measure, as the command sets it
    if asked.one:
        with tempfile.TemporaryDirectory() as root:
            print(json.dumps(run(asked.one, Path(root))))  # noqa: T201
        return
    small, large = (apart(count) for count in asked.pictures)
    grew = {step: large["peak_mib"][step] - small["peak_mib"][step] for step in plan.ALL_STEPS}
    whole = [sum(one["seconds"][step] for step in plan.ALL_STEPS if step not in FEW_STEPS) for one in (small, large)]
    found = {
        "name": "growth",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "peak_ratio": round(max(large["peak_mib"][one] / small["peak_mib"][one] for one in plan.ALL_STEPS), 3),
        "peak_grew_mib": round(max(grew.values()), 1),
        "seconds_a_picture": [round(one / count, 5) for one, count in zip(whole, asked.pictures, strict=True)],
        "pictures": list(asked.pictures),
        "grew_mib": {step: round(value, 1) for step, value in grew.items()},
        "small": small,
        "large": large,
        "versions": {name: metadata.version(name) for name in ("pyarrow", "torch", "gesso")},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }
    line = json.dumps(found)
    print(line)  # noqa: T201 (the benchmark's result)
    if asked.record:
        with (ROOT / "reports" / "benchmarks" / "growth.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")


if __name__ == "__main__":
    main()
