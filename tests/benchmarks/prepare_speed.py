"""Preparing pictures against cleanvision and imagededup on the same ones, and each part against a bare decode.

python tests/benchmarks/prepare_speed.py [--photos DIR] [--count N] [--size W H] [--rounds N] [--record]

Both sides are whole commands from cold, in turns: `gesso prepare --until select` (reads, stores, decodes, measures,
hashes, compares, decides) into a new workspace, and a script of all of cleanvision's checks with imagededup's
perceptual hash and its near-duplicates. The pictures are JPEGs: drawn, of 2.4 megapixels or --size, with structure at
every scale and noise, or those below --photos, taken again with a little cut off where they are fewer than --count.

`ratio_to_peers` is the peers' seconds over gesso's (limit: at least 15), `share_of_decode` gesso's pictures a second
while it reads and measures over those of a bare `cv2.imdecode` with as many threads (at least 0.85), `ratio_to_decode`
the time of all scorers and the hash over that of `cv2.imdecode` (at most 0.15), `decode_ratio` the time of gesso's
decode, with its proxy and the pixels' hash, over that of `cv2.imdecode`; the last two on one thread, in its CPU time.
Medians of the rounds, after one of each side that is not counted: it compiles their modules, which everybody has
compiled from the second time on, whatever $PYTHONDONTWRITEBYTECODE says here.
"""

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipeline import imaging, plugins
from pipeline.dedup import perceptual
from pipeline.run import Run
from pipeline.workspace import Workspace

ROOT = Path(__file__).parents[2]
ENDINGS = (".jpg", ".jpeg", ".png", ".webp")
PARTS = 40
"""Pictures of which the parts are measured."""
RECIPE = """
name: speed
sources: [{{kind: folder, path: {folder}}}]
rights: {{unknown: accept}}
dedup: {{near: {{distance: 6}}}}
select:
  sharpness__score: {{min: 0.1}}
  exposure__dark: {{max: 0.5}}
  information__entropy: {{min: 3}}
"""


def draw(folder: Path, count: int, width: int, height: int) -> None:
    """JPEGs with structure at every scale and a sensor's noise, as photographs have; every tenth one twice."""
    for number in range(count):
        rng = np.random.default_rng(number - (number % 10 == 9))
        picture = np.zeros((height, width, 3), np.float32)
        for side in (4, 8, 16, 32, 64, 128, 256, 512):
            grid = rng.normal(0, 60 * side**-0.45, (side, side, 3)).astype(np.float32)
            picture += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        noise = rng.normal(0, 2, (height, width, 1)).astype(np.float32)
        pixels = np.clip(picture + noise + rng.uniform(90, 160), 0, 255).astype(np.uint8)
        quality = [cv2.IMWRITE_JPEG_QUALITY, 90 - number % 10]
        (folder / f"{number:05}.jpg").write_bytes(cv2.imencode(".jpg", pixels, quality)[1].tobytes())


def gather(photos: Path, folder: Path, count: int) -> None:
    """The pictures below `photos`, each as often as it takes to have `count`: later times with a few rows cut off."""
    paths = [path for path in sorted(photos.rglob("*")) if path.suffix.lower() in ENDINGS]
    for number in range(max(count, len(paths))):
        path, again = paths[number % len(paths)], number // len(paths)
        if again:
            pixels = cv2.imread(str(path))[4 * again :]
            cv2.imwrite(str(folder / f"{number:05}.jpg"), pixels, [cv2.IMWRITE_JPEG_QUALITY, 92])
        else:
            shutil.copyfile(path, folder / f"{number:05}{path.suffix.lower()}")


def timed(command: list[str], scratch: Path) -> tuple[str, dict[str, float]]:
    """What a command prints, its seconds, and those that processors worked for it and its children."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env["PYTHONPYCACHEPREFIX"] = str(scratch / "compiled")
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    said = subprocess.run(command, check=True, capture_output=True, text=True, env=env).stdout
    seconds, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return said, {"whole": seconds, "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}


def gesso(folder: Path, scratch: Path) -> dict[str, float]:
    """Seconds of the whole command, and of that what its stages did not take: starting, checking, deciding."""
    recipe, workspace = scratch / "recipe.yaml", scratch / "work"
    shutil.rmtree(workspace, ignore_errors=True)
    recipe.write_text(RECIPE.format(folder=folder))
    command = [str(Path(sys.executable).with_name("gesso")), "prepare", str(recipe), "--until", "select"]
    _, taken = timed([*command, "--engine", "plain", "--workspace", str(workspace)], scratch)
    opened = Workspace.open(workspace)
    (run,) = (Run.open(opened, path.name) for path in opened.runs.iterdir())
    stages = {stat.name: stat.seconds for stat in run.stats()}
    return {**taken, "start": taken["whole"] - sum(stages.values()), **stages}


def peers(folder: Path, python: Path, scratch: Path) -> dict[str, Any]:
    """Seconds of the peers' script, and what it says of itself."""
    script = Path(__file__).with_name("_clean_and_dedup.py")
    said, taken = timed([str(python), str(script), str(folder)], scratch)
    return {**taken, **json.loads(said.splitlines()[-1])}


def bare(paths: list[Path]) -> float:
    """Seconds that decoding all pictures takes and nothing else, with a thread a core."""

    def look(path: Path) -> None:
        cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)

    cv2.setNumThreads(1)
    began = time.monotonic()
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(look, paths))
    return time.monotonic() - began


def parts(paths: list[Path]) -> dict[str, float]:
    """CPU milliseconds a picture, on one thread: a bare decode, gesso's decode, and all measurers."""
    cv2.setNumThreads(1)
    measurers = [(one, one.Params()) for one in (*plugins.load_all("scorers").values(), perceptual)]
    first = imaging.decode(paths[0].read_bytes())  # what is only done once
    for one, params in measurers:
        one.measure(first, params)
    spent = dict.fromkeys(("bare", "decode", "measure"), 0.0)
    for path in paths:
        data = path.read_bytes()
        marks = [time.thread_time()]
        cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        marks.append(time.thread_time())
        picture = imaging.decode(data)
        marks.append(time.thread_time())
        for one, params in measurers:
            one.measure(picture, params)
        marks.append(time.thread_time())
        for name, before, after in zip(spent, marks, marks[1:], strict=False):
            spent[name] += after - before
    return {name: 1000 * seconds / len(paths) for name, seconds in spent.items()}


def middle(rounds: list[dict[str, Any]], name: str, digits: int = 2) -> float:
    """Median of one figure over the rounds."""
    return round(statistics.median(one[name] for one in rounds), digits)


def main() -> None:
    """Measure, print one JSON object, and with --record append it to the kept records."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, help="folder of pictures, searched recursively; default: drawn ones")
    parser.add_argument("--count", type=int, default=240, help="how many pictures, at least")
    parser.add_argument(
        "--size", type=int, nargs=2, default=(1920, 1250), metavar=("WIDTH", "HEIGHT"), help="of drawn ones"
    )
    parser.add_argument("--rounds", type=int, default=3, help="turns of each side")
    parser.add_argument(
        "--peers", type=Path, default=ROOT / ".benchmarks" / "bin" / "python", help="Python that has the peers"
    )
    parser.add_argument("--record", action="store_true", help="append to reports/benchmarks/prepare_speed.jsonl")
    asked = parser.parse_args()
    if not asked.peers.exists():
        parser.error(f"{asked.peers} is not there: `make .benchmarks/.installed` makes it")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "pictures"
        folder.mkdir()
        gather(asked.photos, folder, asked.count) if asked.photos else draw(folder, asked.count, *asked.size)
        paths = sorted(folder.iterdir())
        ours, theirs, measured = [], [], []
        few = Path(place) / "few"
        few.mkdir()
        for path in paths[:3]:
            shutil.copyfile(path, few / path.name)
        gesso(few, Path(place))
        peers(few, asked.peers, Path(place))
        for _ in range(asked.rounds):
            ours.append(gesso(folder, Path(place)))
            theirs.append(peers(folder, asked.peers, Path(place)))
            measured.append(parts(paths[:PARTS]) | {"bare_seconds": bare(paths)})
        megapixels = [imaging.decode(path.read_bytes()).pixels[..., 0].size / 1e6 for path in paths[:PARTS]]
    ratios = [
        {
            "peers": other["whole"] / own["whole"],
            "cpu": other["cpu"] / own["cpu"],
            "steady": (other["whole"] - other["seconds_imports"]) / (own["whole"] - own["start"]),
            "share": part["bare_seconds"] / (own["ingest"] + own["measure"]),
            "measure": part["measure"] / part["bare"],
            "decode": part["decode"] / part["bare"],
        }
        for own, other, part in zip(ours, theirs, measured, strict=True)
    ]
    found = {
        "name": "prepare_speed",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "ratio_to_peers": middle(ratios, "peers"),
        "limit_peers": 15,
        "share_of_decode": middle(ratios, "share", 3),
        "limit_share": 0.85,
        "ratio_to_decode": middle(ratios, "measure", 3),
        "limit_decode": 0.15,
        "decode_ratio": middle(ratios, "decode"),
        "ratio_to_peers_without_start": middle(ratios, "steady"),
        "ratio_to_peers_cpu": middle(ratios, "cpu"),
        "photos": asked.photos.resolve().name if asked.photos else "drawn",
        "pictures": len(paths),
        "megapixels": round(statistics.mean(megapixels), 2),
        "seconds": {name: middle(ours, name) for name in ours[0]},
        "seconds_peers": {name: middle(theirs, name) for name in theirs[0] if name not in ("pictures", "versions")},
        "milliseconds_a_picture": {name: middle(measured, name) for name in measured[0] if name != "bare_seconds"},
        "pictures_a_second": round(len(paths) / middle(ours, "whole", 3), 1),
        "pictures_a_second_peers": round(len(paths) / middle(theirs, "whole", 3), 1),
        "versions": theirs[0]["versions"] | {name: metadata.version(name) for name in ("gesso", "pillow", "numpy")},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }
    line = json.dumps(found)
    print(line)  # noqa: T201 (the benchmark's result)
    if asked.record:
        with (ROOT / "reports" / "benchmarks" / "prepare_speed.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")


if __name__ == "__main__":
    main()
