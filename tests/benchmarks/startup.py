"""Seconds that commands take where there is next to nothing to do, beside a Python that does nothing at all.

python tests/benchmarks/startup.py [--rounds N] [--record]

Each command is a fresh process over a workspace of a few drawn pictures whose recipe was run to its end, so that what
is left is starting: imports, reading the recipe, finding everything done. Rounds of all commands in turn; medians.
`seconds_ledger` and `seconds_show` have a limit of 1.
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

from pipeline.starter import collection

ROOT = Path(__file__).parents[2]
LIMIT = 1.0
GESSO = str(Path(sys.executable).with_name("gesso"))
RECIPE = """
name: startup
sources: [{{kind: folder, path: {folder}}}]
rights: {{unknown: accept}}
split: {{held_out: 0.3, min_groups: 2}}
caption: {{captioner: blip, prefer_sidecar: false}}
buckets: {{resolution: 64, step: 8}}
train: {{method: lora, rank: 2, steps: 2, batch_size: 2}}
evaluate: {{prompts: [a star], seeds: [1], steps: 1}}
"""


def commands(folder: Path) -> dict[str, list[str]]:
    """The commands by name, over a recipe that was run to its end in `folder`."""
    pictures, recipe, workspace = folder / "pictures", folder / "recipe.yaml", folder / "work"
    collection.plain(pictures, count=12)
    recipe.write_text(RECIPE.format(folder=pictures), encoding="utf-8")
    plain = [str(recipe), "--engine", "plain", "--workspace", str(workspace)]
    subprocess.run([GESSO, "run", *plain], check=True, capture_output=True)
    return {
        "python": [sys.executable, "-c", "pass"],
        "help": [GESSO, "--help"],
        "list": [GESSO, "list", "methods"],
        "ledger": [GESSO, "ledger", str(workspace)],
        "show": [GESSO, "show", str(workspace), str(min(pictures.glob("*.png")))],
        "plan": [GESSO, "plan", str(recipe), "--workspace", str(workspace)],
        "prepare_cached": [GESSO, "prepare", *plain, "--until", "select"],
        "run_cached": [GESSO, "run", *plain],
    }


def seconds(command: list[str]) -> float:
    """How long a command takes."""
    began = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    return time.monotonic() - began


def main() -> None:
    """Measure, print one JSON object, and with --record append it to the kept records."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each command runs")
    parser.add_argument("--record", action="store_true", help="append to reports/benchmarks/startup.jsonl")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        todo = commands(Path(place))
        taken: dict[str, list[float]] = {name: [] for name in todo}
        for _ in range(asked.rounds):
            for name, command in todo.items():
                taken[name].append(seconds(command))
    found = {
        "name": "startup",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        **{f"seconds_{name}": round(statistics.median(values), 3) for name, values in taken.items()},
        "limit": LIMIT,
        "rounds": asked.rounds,
        "versions": {"python": platform.python_version(), "gesso": metadata.version("gesso")},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }
    line = json.dumps(found)
    print(line)  # noqa: T201 (the benchmark's result)
    if asked.record:
        with (ROOT / "reports" / "benchmarks" / "startup.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")


if __name__ == "__main__":
    main()
