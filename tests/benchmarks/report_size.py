"""The report of many pictures: how large its files are, and how soon a real browser has opened the page.

python tests/benchmarks/report_size.py [--pictures N] [--opens N] [--record]

Drawn pictures of 64 px with captions beside them are prepared as any others (read, measured, decided with the scorers'
default limits but for size, captioned), and their report is written. Chromium then opens it from the disk, without a
network and each time in a window of its own: `seconds_open` is the median time from the request to the end of the load
event, by the browser's own clock, `seconds_first` that of the first time. Bars: each file below 15 MB, 3 s.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from selenium import webdriver

from flows.settings import quiet
from pipeline import plan
from pipeline.recipe import parse
from pipeline.run import Run
from pipeline.stage import Tools
from pipeline.starter import collection
from pipeline.workspace import Workspace

ROOT = Path(__file__).parents[2]
STEPS = ("ingest", "measure", "select", "caption", "review")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
ELAPSED = """
const done = performance.getEntriesByType("navigation")[0].loadEventEnd;
return [done / 1000, document.images.length, document.getElementsByTagName("*").length];
"""


def reported(count: int, root: Path) -> tuple[Path, float, int]:
    """The folder of a report of so many pictures, the seconds of writing it, and how many pictures stayed."""
    collection.plain(root / "photos", count=count)
    recipe = parse(
        {
            "name": "size",
            "sources": [{"path": str(root / "photos"), "rights": {"license": "CC0-1.0"}}],
            "rights": {"allow": ["CC0-1.0"]},
            "dedup": {"near": {"distance": 0, "colour": 0}},
            "default_limits": True,
            "select": {"resolution__short_side": None},
        }
    )
    workspace = Workspace.create(root / "work")
    run, tools = Run.create(workspace, recipe, command="report_size"), Tools(workspace, workers=os.cpu_count() or 1)
    for step in STEPS:
        plan.do(run, step, tools)
    began = time.perf_counter()
    plan.do(run, "report", tools)
    return run.folder, time.perf_counter() - began, len(run.rows("kept"))


def opened(page: Path) -> dict[str, float]:
    """Seconds until a browser of its own has loaded the page, and how many pictures and elements it holds."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    with tempfile.TemporaryDirectory() as profile:
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
        try:
            browser.get(page.as_uri())
            seconds, images, elements = browser.execute_script(ELAPSED)
        finally:
            browser.quit()
    return {"seconds": seconds, "images": images, "elements": elements}


def main() -> None:
    """Measure, print one JSON object, and with --record append it to the kept records."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=20_000, help="how many pictures")
    parser.add_argument("--opens", type=int, default=3, help="how often the page is opened")
    parser.add_argument("--record", action="store_true", help="append to reports/benchmarks/report_size.jsonl")
    asked = parser.parse_args()
    if not shutil.which("chromium") or not shutil.which("chromedriver"):
        parser.error("chromium and chromedriver are missing: apt-get install chromium chromium-driver")
    quiet()
    with tempfile.TemporaryDirectory() as root:
        folder, seconds, kept = reported(asked.pictures, Path(root))
        sizes = {path.name: round(path.stat().st_size / 1e6, 3) for path in sorted(folder.glob("report.*"))}
        times = [opened(folder / "report.html") for _ in range(asked.opens)]
    found = {
        "name": "report_size",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "largest_mb": max(sizes.values()),
        "limit_mb": 15,
        "seconds_open": round(statistics.median(one["seconds"] for one in times), 3),
        "seconds_first": round(times[0]["seconds"], 3),
        "limit_open": 3,
        "megabytes": sizes,
        "pictures": asked.pictures,
        "kept": kept,
        "on_the_page": {name: times[0][name] for name in ("images", "elements")},
        "seconds_write": round(seconds, 2),
        "versions": {name: metadata.version(name) for name in ("gesso", "selenium")},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }
    line = json.dumps(found)
    print(line)  # noqa: T201 (the benchmark's result)
    if asked.record:
        with (ROOT / "reports" / "benchmarks" / "report_size.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")


if __name__ == "__main__":
    main()
