"""Planted wrong captions of drawn pictures, and how many of them are among those that fit worst by CLIP.

python tests/benchmarks/planted_captions.py [--clip starter] [--pictures 1000] [--share 0.05] [--seeds 3] [--record]

Pictures that the starter never saw have right captions; a share of them gets the caption of another such picture.
`found` is the share of these among the worst tenth of all, of the worst of the drawn plantings; its limit is 0.95.
"""

import argparse
import json
import platform
import time
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import numpy as np

from pipeline.matching.clip import Clip
from pipeline.starter.pictures import picture

ROOT = Path(__file__).parents[2]
WORST, LIMIT = 0.1, 0.95


def main() -> None:
    """Measure, print one JSON object, and with --record append it to the kept records."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", default="starter", help="starter, a folder or a hub id")
    parser.add_argument("--pictures", type=int, default=1000, help="pictures in all")
    parser.add_argument("--share", type=float, default=0.05, help="of them with another's caption")
    parser.add_argument("--seeds", type=int, default=3, help="plantings, each with pictures of its own")
    parser.add_argument("--record", action="store_true", help="append to reports/benchmarks/planted_captions.jsonl")
    asked = parser.parse_args()
    began, clip, shares = time.perf_counter(), Clip(asked.clip), []
    for seed in range(asked.seeds):
        drawn = [picture(60_000_000 + seed * asked.pictures + one, held_out=True) for one in range(asked.pictures)]
        texts = [one.caption for one in drawn]
        wrong = np.random.default_rng(seed).choice(len(drawn), round(asked.share * len(drawn)), replace=False)
        for place, other in zip(wrong, np.roll(wrong, 1), strict=True):
            texts[place] = drawn[other].caption
        fits = clip.scores([one.pixels for one in drawn], texts)
        worst = np.argsort(fits, kind="stable")[: round(WORST * len(drawn))]
        shares.append(round(float(np.isin(wrong, worst).mean()), 4))
    found = {
        "name": "planted_captions",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "found": min(shares),
        "limit": LIMIT,
        "each": shares,
        "among_worst": WORST,
        **{name: getattr(asked, name) for name in ("clip", "pictures", "share", "seeds")},
        "seconds": round(time.perf_counter() - began, 1),
        "versions": {name: metadata.version(name) for name in ("torch", "open_clip_torch", "gesso")},
        "machine": platform.machine(),
    }
    line = json.dumps(found)
    print(line)  # noqa: T201 (the benchmark's result)
    if asked.record:
        with (ROOT / "reports" / "benchmarks" / "planted_captions.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")


if __name__ == "__main__":
    main()
