"""Preparation at 1,000, 10,000 and 100,000 pictures: the first time, unchanged, and with one in a hundred more.

python tests/benchmarks/at_scale.py [--pictures 1000 10000 100000] [--record]

`gesso prepare --until caption --engine plain`, each time a process of its own: ingest, decode, hashes, scorers, near
duplicates, split and captions from beside the files, over drawn pictures of 64 px. Start-up is taken off: the same
command over one picture. Bars at the largest number: `seconds_a_picture` within 20 % of that at the smaller numbers,
`peak_mib` of the process at most 1,536, an unchanged run within 15 s, one in a hundred more at most 3 % of the first.
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

from PIL import Image

from pipeline.starter import collection
from pipeline.starter.pictures import picture

ROOT = Path(__file__).parents[2]
RECIPE = """
name: scale
sources: [{kind: folder, path: PHOTOS, rights: {license: CC0-1.0}}]
rights: {allow: [CC0-1.0]}
default_limits: false
dedup: {near: NEAR}
"""


def prepare(folder: Path) -> tuple[float, float]:
    """Seconds and peak MiB of the whole command over the folder's recipe.

    The peak is the highest that a stage tells of: to tell each its own, the system forgets that of the one before.
    """
    program = str(Path(sys.executable).with_name("gesso"))
    words = [program, "prepare", str(folder / "recipe.yaml"), "--until", "caption", "--engine", "plain"]
    began = time.perf_counter()
    child = subprocess.Popen(
        [*words, "--workspace", str(folder / "work")], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    _, status, used = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - began
    if status:
        raise SystemExit(child.stderr.read().decode() if child.stderr else "it failed")
    latest = max((folder / "work" / "runs").iterdir())
    stages = [json.loads(line) for line in (latest / "stages.jsonl").read_text(encoding="utf-8").splitlines()]
    return seconds, max(used.ru_maxrss / 1024, *(stage["peak_mib"] for stage in stages))


def drawn(folder: Path, count: int, near: str) -> Path:
    """A recipe and so many pictures."""
    folder.mkdir()
    collection.plain(folder / "photos", count=count)
    text = RECIPE.replace("PHOTOS", str(folder / "photos")).replace("NEAR", near)
    (folder / "recipe.yaml").write_text(text, encoding="utf-8")
    return folder


def case(root: Path, count: int, near: str, startup: float) -> dict[str, float]:
    """What so many pictures take."""
    folder = drawn(root / str(count), count, near)
    first, peak = prepare(folder)
    again, peak_again = prepare(folder)
    more = count // 100
    for number in range(count, count + more):
        one = picture(number)
        Image.fromarray(one.pixels).save(folder / "photos" / f"{number:06d}.png")
        (folder / "photos" / f"{number:06d}.txt").write_text(one.caption + "\n", encoding="utf-8")
    grown, _ = prepare(folder)
    return {
        "seconds": round(first, 2),
        "seconds_a_picture": round((first - startup) / count, 6),
        "peak_mib": round(max(peak, peak_again)),
        "unchanged_seconds": round(again, 2),
        "one_percent_more_share": round((grown - again) / (first - startup), 4),
        "one_percent_more_seconds": round(grown, 2),
    }


def main() -> None:
    """Measure, print one JSON object, and with --record append it to the kept records."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, nargs="+", default=(1000, 10_000, 100_000), help="numbers of pictures")
    parser.add_argument("--near", default="{distance: 2, colour: 2}", help="the recipe's dedup.near")
    parser.add_argument("--record", action="store_true", help="append to reports/benchmarks/at_scale.jsonl")
    asked = parser.parse_args()
    cases: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        few = drawn(root / "one", 1, asked.near)
        startup = sorted(prepare(few)[0] for _ in range(3))[1]
        for count in asked.pictures:
            cases[str(count)] = case(root, count, asked.near, startup)
            print(count, cases[str(count)], flush=True)  # noqa: T201 (so that one sees it go on)
    found = {
        "name": "at_scale",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "startup_seconds": round(startup, 2),
        "cases": cases,
        "near": asked.near,
        "limits": {"peak_mib": 1536, "unchanged_seconds": 15, "one_percent_more_share": 0.03},
        "versions": {name: metadata.version(name) for name in ("pyarrow", "opencv-python-headless", "gesso")},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }
    line = json.dumps(found)
    print(line)  # noqa: T201 (the benchmark's result)
    if asked.record:
        with (ROOT / "reports" / "benchmarks" / "at_scale.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")


if __name__ == "__main__":
    main()
