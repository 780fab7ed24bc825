"""The main job on a folder of photographs: ledger totals, seconds a stage and peak memory, cold and then cached.

python tests/benchmarks/photos.py --photos DIR [--class dog] [--record]

The pictures are copied with a caption beside each ("a photo of a <class>", where class is --class or the name of the
picture's folder), prepared and trained on with datasets/photos.yaml and the starter models, without Prefect.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from pipeline import ledger
from pipeline.run import Run
from pipeline.workspace import Workspace

ROOT = Path(__file__).parents[2]
ENDINGS = (".jpg", ".jpeg", ".png", ".webp")


def run(photos: Path, workspace: Path) -> float:
    """Run the recipe over `photos` and return the whole command's seconds."""
    gesso = str(Path(sys.executable).with_name("gesso"))
    command = [gesso, "run", str(ROOT / "datasets" / "photos.yaml"), "--engine", "plain"]
    command += ["--set", f"sources.0.path={photos}", "--workspace", str(workspace)]
    began = time.monotonic()
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    return round(time.monotonic() - began, 1)


def main() -> None:
    """Measure, print one JSON object, and with --record append it to the kept records."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True, help="folder of photographs, searched recursively")
    parser.add_argument("--class", dest="noun", help="class noun of all pictures; default: each one's folder")
    parser.add_argument("--record", action="store_true", help="append to reports/benchmarks/photos.jsonl")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        copy, workspace = Path(folder) / "photos", Path(folder) / "work"
        for path in sorted(asked.photos.rglob("*")):
            if path.suffix.lower() in ENDINGS:
                target = copy / path.relative_to(asked.photos)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
                noun = asked.noun or path.parent.name.rstrip("0123456789").replace("_", " ")
                target.with_suffix(".txt").write_text(f"a photo of a {noun}\n", encoding="utf-8")
        cold, cached = run(copy, workspace), run(copy, workspace)
        first = Run.open(Workspace.open(workspace), min(path.name for path in (workspace / "runs").iterdir()))
        stats = first.stats()
        found = {
            "name": "photos",
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "photos": asked.photos.resolve().name,
            "seconds_cold": cold,
            "seconds_cached": cached,
            "ledger": ledger.totals(first.rows("ledger")),
            "seconds": {one.name: one.seconds for one in stats},
            "rows": {one.name: one.computed for one in stats},
            "peak_mib": max(one.peak_mib for one in stats),
            "peak_mib_by_stage": {one.name: one.peak_mib for one in stats},
            "versions": {name: metadata.version(name) for name in ("torch", "diffusers", "gesso")},
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        }
    line = json.dumps(found)
    print(line)  # noqa: T201 (the benchmark's result)
    if asked.record:
        with (ROOT / "reports" / "benchmarks" / "photos.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")


if __name__ == "__main__":
    main()
