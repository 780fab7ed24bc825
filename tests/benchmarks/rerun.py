"""What a second run of unchanged pictures costs, beyond the start of the program.

python tests/benchmarks/rerun.py [--pictures 1000] [--rounds N] [--record]

`gesso run --engine plain` of a whole recipe (starter models, captions from beside the files, a training of 2 steps)
over drawn pictures that were run before. The start is the same command on one picture, alternating with it, so what
is left is what pictures cost that are found unchanged: listing, looking up rows, selecting, and the report with its
pictures. `seconds_over_startup` is the median of the rounds' differences; its limit is 5 for 1,000 pictures.
`after_many_runs` is the same once more, after --grown further runs of one picture more each have left their shards.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from PIL import Image

from pipeline.starter import collection
from pipeline.starter.pictures import picture

ROOT = Path(__file__).parents[2]
LIMIT = 5.0
RECIPE = """
name: rerun
sources: [{kind: folder, path: PHOTOS, rights: {license: CC0-1.0}}]
rights: {allow: [CC0-1.0]}
buckets: {resolution: 64, step: 8}
train: {steps: 2, batch_size: 2, rank: 4}
evaluate: {prompts: [a red circle], seeds: [1], steps: 2}
"""


def gesso(folder: Path, command: str = "run") -> float:
    """Seconds of the whole command over the folder's recipe."""
    program = str(Path(sys.executable).with_name("gesso"))
    words = [program, command, str(folder / "recipe.yaml"), "--engine", "plain", "--workspace", str(folder / "work")]
    began = time.perf_counter()
    subprocess.run(words, check=True, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began


def prepared(folder: Path, count: int) -> Path:
    """A recipe with so many pictures, run once."""
    folder.mkdir()
    collection.plain(folder / "photos", count=count)
    (folder / "recipe.yaml").write_text(RECIPE.replace("PHOTOS", str(folder / "photos")), encoding="utf-8")
    gesso(folder)
    return folder


def compare(many: Path, one: Path, rounds: int) -> dict[str, float]:
    """Medians over rounds, the two sides alternating, each first in every other round."""
    found = []
    for number in range(rounds):
        sides = (many, one) if number % 2 else (one, many)
        seconds = {side: gesso(side) for side in sides}
        found.append((seconds[many], seconds[one]))
    return {
        "seconds_over_startup": round(statistics.median(own - start for own, start in found), 2),
        "seconds": round(statistics.median(own for own, _ in found), 2),
        "seconds_startup": round(statistics.median(start for _, start in found), 2),
    }


def main() -> None:
    """Measure, print one JSON object, and with --record append it to the kept records."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=1000, help="unchanged pictures")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each side")
    parser.add_argument("--grown", type=int, default=12, help="runs with one picture more each, before the last rounds")
    parser.add_argument("--record", action="store_true", help="append to reports/benchmarks/rerun.jsonl")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        one = prepared(Path(root) / "one", 1)
        many = prepared(Path(root) / "many", asked.pictures)
        found = compare(many, one, asked.rounds)
        for number in range(asked.grown):
            drawn = picture(asked.pictures + number)
            Image.fromarray(drawn.pixels).save(many / "photos" / f"more-{number:05d}.png")
            gesso(many, "prepare")
        gesso(many)
        grown = compare(many, one, asked.rounds)
        files = sum(1 for _ in (many / "work" / "tables").rglob("*.parquet"))
    told = {
        "name": "rerun",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds_over_startup": found["seconds_over_startup"],
        "limit": LIMIT,
        "pictures": asked.pictures,
        **found,
        "after_many_runs": {**grown, "runs": asked.grown, "shards": files},
        "versions": {name: metadata.version(name) for name in ("pyarrow", "torch", "gesso")},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }
    line = json.dumps(told)
    print(line)  # noqa: T201 (the benchmark's result)
    if asked.record:
        with (ROOT / "reports" / "benchmarks" / "rerun.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")


if __name__ == "__main__":
    main()
