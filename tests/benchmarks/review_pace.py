"""How long the review page takes for a picture, when a script sits at the keyboard.

python tests/benchmarks/review_pace.py [--pictures 200] [--reviews 198] [--record]

Chromium opens the page of `gesso review serve`; a script reviews one picture after the other, by the keys that a person
has: `accept` presses `a`; `edit` presses `e`, types twelve letters, each of which goes to the server's disk, and
presses Ctrl and Enter. The time of a picture is from the first key to the next picture's being there, whole, with its
caption, after the decision is on the disk: what a person waits for. Beside it stands the same without a page: a client
that asks the server for the same decision, the next row and its picture (`server_ms`), alternating in blocks of ten.
The limit is 100 ms for an accepted picture. Figures are medians; `slow` is the 95th percentile. `first_view_ms` is from
asking chromium for the page to the first picture's being there, whole; its limit is 1,000.
"""

import argparse
import statistics
import sys
import tempfile
import time
import urllib.request
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from _review_desk import PATIENCE, Client, Server, browser, machine, prepared, record

LIMIT = 100.0
LIMIT_FIRST = 1000.0
BLOCK = 10
REVIEW = """
const [edits, done] = arguments;
const at = (id) => document.getElementById(id);
const press = (to, key, more) => to.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, ...more }));
const began = performance.now();
const name = at("file").textContent;
const type = async () => {
  press(document.body, "e");
  for (const letter of " seen by me") {
    at("caption").value += letter;
    at("caption").dispatchEvent(new InputEvent("input", { bubbles: true, data: letter }));
    await new Promise((drawn) => requestAnimationFrame(drawn));
  }
  press(at("caption"), "Enter", { ctrlKey: true });
};
const look = () => {
  const image = at("large");
  const there = at("file").textContent !== name && image.complete && image.naturalWidth;
  const next = there && at("saved").textContent === "saved";
  if (next) requestAnimationFrame(() => done(performance.now() - began));
  else requestAnimationFrame(look);
};
if (edits) type().then(look);
else press(document.body, "a"), look();
"""
THERE = """
const at = (id) => document.getElementById(id);
return at("large").naturalWidth && at("file").textContent;
"""
"""Whether the first picture and its row are there: a key before that is meant for nothing."""


def decided(client: Client, ids: list[str], place: int) -> float:
    """Milliseconds that the server alone takes for a decision and the next picture."""
    row = client.ask(f"/api/row/{ids[place]}")
    began = time.perf_counter()
    wish = {"id": ids[place], "seen": row["caption"], "version": row["version"], "caption": row["caption"]}
    client.ask("/api/decide", {"reviewer": "bo", "wishes": [{**wish, "word": "accept"}]})
    client.ask(f"/api/row/{ids[place + 1]}")
    request = urllib.request.Request(f"{client.origin}/large/{ids[place + 1]}.webp")  # noqa: S310 (our own server)
    client.opener.open(request, timeout=60).read()
    return 1000 * (time.perf_counter() - began)


def figures(name: str, took: list[float]) -> dict[str, float]:
    """The median and the 95th percentile."""
    return {
        f"{name}_ms": round(statistics.median(took), 1),
        f"{name}_slow_ms": round(sorted(took)[len(took) * 19 // 20]),
    }


def measure(server: Server, place: Path, count: int, reviews: int) -> dict[str, Any]:
    """Review half of so many pictures in the page, every third one with an edit, and the other half without a page."""
    client = Client(server.port)
    ids = client.ask("/api/list")["ids"]
    driver = browser(place / "profile")
    took: dict[str, list[float]] = {"accept": [], "edit": [], "server": []}
    try:
        began = time.perf_counter()
        driver.get(f"{server.page}&reviewer=anna")
        end = time.monotonic() + PATIENCE
        while not driver.execute_script(THERE):
            assert time.monotonic() < end, "the page never came"
            time.sleep(0.01)
        first_view = 1000 * (time.perf_counter() - began)
        for number in range(reviews // 2):
            if number and number % BLOCK == 0:
                # from the end, where the page does not come
                took["server"] += [decided(client, ids, count - 1 - number - step) for step in range(BLOCK)]
            kind = "edit" if number % 3 == 2 else "accept"
            took[kind].append(driver.execute_async_script(REVIEW, kind == "edit"))
    finally:
        driver.quit()
    said = client.ask("/api/progress?reviewer=anna")
    assert said["decided"] == sum(map(len, took.values())), said
    paces = {name: value for kind in took for name, value in figures(kind, took[kind]).items()}
    return {"first_view_ms": round(first_view), **paces}


def main() -> None:
    """Measure, print one JSON object, and with --record append it to the kept records."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=200, help="pictures in review")
    parser.add_argument("--record", action="store_true", help="append to reports/benchmarks/review_pace.jsonl")
    parser.add_argument("--reviews", type=int, help="how many of them are reviewed (default: nearly all)")
    asked = parser.parse_args()
    reviews = min(asked.reviews or asked.pictures, asked.pictures - 2)
    with tempfile.TemporaryDirectory() as root:
        server = Server(prepared(Path(root), asked.pictures))
        server.start()
        try:
            found = measure(server, Path(root), asked.pictures, reviews)
        finally:
            server.kill()
    told = {
        "name": "review_pace",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "ratio_to_server": round(found["accept_ms"] / found["server_ms"], 2),
        "limit_ms": LIMIT,
        "limit_first_view_ms": LIMIT_FIRST,
        **found,
        "pictures": asked.pictures,
        "reviews": reviews,
        "versions": {name: metadata.version(name) for name in ("gesso", "uvicorn", "fastapi", "selenium")},
        "machine": machine(),
    }
    record(told, keep=asked.record)


if __name__ == "__main__":
    main()
