"""What each method teaches the starter and what it costs: trains with each, and writes reports/methods.md with grids.

python tests/benchmarks/study.py [--only METHOD ...] [--pages-only]

Each method of subject.py learns the same subject from the same eight pictures; its record goes to
reports/benchmarks/subject.jsonl and its grid beside the page. The page is written of each method's newest record.
About 6 minutes a method on two cores.
"""

import argparse
import json
from typing import Any

from subject import METHODS, ROOT, measure, record

REPORTS = ROOT / "reports"
PAGE = REPORTS / "methods.md"
ABOUT = """# What each method teaches, and what it costs

Written by `python tests/benchmarks/study.py` from the newest records in `benchmarks/subject.jsonl`. Each method taught
the starter model a robot that it had never seen, from eight pictures with captions. A judge (a small classifier of
drawn pictures that had no part in any training of the models) looked at 50 pictures painted of `a sks robot ...`, and
at 100 painted of other prompts, each before and after with the same seeds.

- **gain**: the share of the 50 in which the judge sees the robot, less that before (0), with its 95 % interval.
- **drift**: how much less often the judge sees what the other prompts ask for, in points: the mean of shape, colour,
  size, place and ground, and the worst of the five.
- **the same**: the share of the other prompts' pictures of which not a bit has changed.

| method | gain | drift, mean | worst | the same | seconds |
|---|---|---|---|---|---|
"""
NOTES = {
    "lora": "An adapter, with 192 captioned pictures of what the model knew learned from beside the robot.",
    "lora-alone": "The same without those pictures.",
    "lora-text": "An adapter in the text encoder, too, with those pictures.",
    "dreambooth": "An adapter, with 192 class pictures that the base painted itself (prior preservation).",
    "dreambooth-without": "The same without class pictures.",
    "full": "Every weight of the UNet, with the 192 captioned pictures.",
    "textual-inversion": "Four vectors of a new word, and nothing else.",
}


def newest() -> dict[str, dict[str, Any]]:
    """The last record of each method."""
    kept = (REPORTS / "benchmarks" / "subject.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in kept]
    return {one["method"]: one for one in found if "same" in one}


def row(name: str, one: dict[str, Any]) -> str:
    """A line of the page's table."""
    gain, lost = one["gain"], [cost["difference"] for cost in one["cost"].values()]
    cells = [
        f"[{name}](#{name})",
        f"{100 * gain['difference']:+.0f} ({100 * gain['low']:+.0f} to {100 * gain['high']:+.0f})",
        f"{100 * sum(lost) / len(lost):+.1f}",
        f"{100 * min(lost):+.0f}",
        f"{one['same']:.0%}",
        f"{one['seconds']:.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def chapter(name: str, one: dict[str, Any]) -> str:
    """What a method was, and its grid."""
    settings = ", ".join(f"{key} {value}" for key, value in one["settings"].items())
    rows = "Rows: some of what was learned from; with the trigger before and after; without it before and after."
    return f"## {name}\n\n{NOTES[name]} Settings: {settings}. {rows}\n\n![{name}](methods/{name}.png)\n"


def main() -> None:
    """Train with each method that is asked for, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=METHODS, default=list(METHODS), help="these methods alone")
    parser.add_argument("--pages-only", action="store_true", help="train nothing, write the page again")
    asked = parser.parse_args()
    (REPORTS / "methods").mkdir(exist_ok=True)
    for name in [] if asked.pages_only else asked.only:
        one = measure(name, grid=REPORTS / "methods" / f"{name}.png")
        record(one)
        print(row(name, one), flush=True)  # noqa: T201 (so that one sees it go on)
    found = newest()
    known = [name for name in METHODS if name in found]
    table = "\n".join(row(name, found[name]) for name in known)
    chapters = "\n".join(chapter(name, found[name]) for name in known)
    PAGE.write_text(f"{ABOUT}{table}\n\n{chapters}", encoding="utf-8")


if __name__ == "__main__":
    main()
