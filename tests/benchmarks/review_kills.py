"""What is lost of a review when the server, or whoever reviews, is killed in the middle of edits.

python tests/benchmarks/review_kills.py [--kills 100] [--pictures 12] [--record]

Half of the kills take the review page's server, four in ten a client that asks as the page does, and one in ten
chromium with the page in it, while somebody types; all by kill -9, at a drawn moment. A killed server is started again.
After each kill every edit that was shown as saved (decisions and typing; the client writes each answer down as it
comes) has to be what a server tells: `lost` counts those that are not. An edit that was under way may be there or not,
and is counted as `under_way`. The limit is 0 lost. `edits` are those that were shown as saved.
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime
from http.client import HTTPException
from importlib import metadata
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from _review_desk import FORKS, PATIENCE, Client, Server, browser, machine, prepared, record

WORDS = ["red", "blue", "small", "large", "round", "old", "new", "bright", "dark", "calm"]
LONGEST = 1.5
"""The longest that edits go on before a kill, in seconds."""
SETTLE = 1.0
"""How long the server gets to finish what a killed client had asked for, in seconds."""
TYPING = 0.3
"""The longest pause between two typed letters, in seconds: long enough that some are shown as saved and some not."""
SHARES = {"server": 0.5, "client": 0.4, "browser": 0.1}


def edit(port: int, told: str, ids: list[str], seed: int) -> None:
    """Decide and type without end; each try is written down before it is asked for, and again when it is saved."""
    draw, client = random.Random(seed), Client(port)  # noqa: S311 (no secret)
    out = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def say(*words: str) -> None:
        os.write(out, (json.dumps(words) + "\n").encode())

    # a server that is killed answers no more
    with suppress(OSError, HTTPException):
        for number in range(1_000_000):
            id_ = draw.choice(ids)
            text = f"{' '.join(draw.sample(WORDS, 4))} {seed}-{number}"
            if draw.random() < 0.4:
                say("draft", id_, text)
                client.ask("/api/draft", {"reviewer": "anna", "id": id_, "text": text})
            else:
                row = client.ask(f"/api/row/{id_}")
                wish = {"id": id_, "seen": row["caption"], "version": row["version"], "caption": text, "word": "accept"}
                say("decide", id_, text)
                done = client.ask("/api/decide", {"reviewer": "anna", "wishes": [wish]})
                if done["conflicts"]:
                    raise AssertionError(f"a conflict with oneself: {row} {text}")
            say("saved", id_, text)


class Truth:
    """What was shown as saved, and what may be there as well because it was under way."""

    def __init__(self) -> None:
        self.captions: dict[str, str] = {}
        self.drafts: dict[str, str] = {}
        self.edits = self.under_way = self.lost = 0

    def take(self, path: Path, client: Client) -> None:
        """Compare what a client wrote down with what a server tells now."""
        lines = [json.loads(line) for line in path.read_bytes().split(b"\n") if line.endswith(b"]")]
        path.unlink()
        open_: tuple[str, str, str] | None = None
        for kind, id_, text in lines:
            if kind != "saved":
                open_ = (kind, id_, text)
                continue
            assert open_ is not None
            self._saved(*open_)
            self.edits += 1
            open_ = None
        drafts = client.ask("/api/start?reviewer=anna")["drafts"]
        if open_ and self._there(*open_, client, drafts):
            self.under_way += 1
            self._saved(*open_)
        self.check(client, drafts)

    def check(self, client: Client, drafts: dict[str, str]) -> None:
        """Count what was saved and is not there."""
        for id_, text in self.captions.items():
            caption = client.ask(f"/api/row/{id_}")["caption"]
            if caption != text:
                self._lost(id_, text, caption)
        for id_, text in self.drafts.items():
            if drafts.get(id_) != text:
                self._lost(id_, text, drafts.get(id_))

    def _lost(self, id_: str, text: str, found: str | None) -> None:
        self.lost += 1
        sys.stderr.write(f"lost: {id_}: {text!r} was saved, there is {found!r}\n")

    def _saved(self, kind: str, id_: str, text: str) -> None:
        if kind == "draft":
            self.drafts[id_] = text
        else:
            self.captions[id_] = text
            self.drafts.pop(id_, None)

    @staticmethod
    def _there(kind: str, id_: str, text: str, client: Client, drafts: dict[str, str]) -> bool:
        return bool((drafts.get(id_) if kind == "draft" else client.ask(f"/api/row/{id_}")["caption"]) == text)


def by_program(kind: str, server: Server, truth: Truth, ids: list[str], seed: int, place: Path) -> None:
    """Kill the server or the client while a client edits."""
    path = place / "told.jsonl"
    client = FORKS.Process(target=edit, args=(server.port, str(path), ids, seed), daemon=True)
    client.start()
    end = time.monotonic() + PATIENCE
    while not (path.exists() and b"saved" in path.read_bytes()):
        assert time.monotonic() < end, "the client never edited"
        time.sleep(0.01)
    time.sleep(random.Random(seed).uniform(0, LONGEST))  # noqa: S311 (no secret)
    if kind == "server":
        server.kill()
        server.start()
    client.kill()
    client.join()
    time.sleep(SETTLE)
    truth.take(path, Client(server.port))


def by_browser(server: Server, truth: Truth, seed: int, place: Path) -> None:
    """Kill chromium while somebody types in the page."""
    from selenium.webdriver.common.keys import Keys

    draw = random.Random(seed)  # noqa: S311 (no secret)
    driver = browser(place / f"profile-{seed}")
    client = Client(server.port)
    script = "return ['file', 'saved'].map((id) => document.getElementById(id).textContent)"
    script += ".concat(document.getElementById('caption').value)"
    shown, name = "", ""
    typed: list[str] = []
    try:
        driver.get(f"{server.page}&reviewer=anna")
        end = time.monotonic() + PATIENCE
        while not driver.execute_script(script)[0]:
            assert time.monotonic() < end, "the page never came"
            time.sleep(0.05)
        body = driver.switch_to.active_element
        body.send_keys("e")
        keys = driver.switch_to.active_element
        keys.send_keys(Keys.END)
        for letter in f" {seed} {' '.join(draw.sample(WORDS, draw.randint(1, 6)))}":
            keys.send_keys(letter)
            time.sleep(draw.uniform(0, TYPING))
            name, saved, caption = driver.execute_script(script)
            typed.append(caption)
            if saved.startswith("typing is saved"):
                truth.edits += caption != shown
                shown = caption
        os.kill(driver.capabilities["goog:processID"], signal.SIGKILL)
    finally:
        with suppress(Exception):
            driver.quit()
    id_ = next(id_ for id_ in client.ask("/api/list")["ids"] if client.ask(f"/api/row/{id_}")["origin"] == name)
    drafts = client.ask("/api/start?reviewer=anna")["drafts"]
    found = drafts.get(id_, "")
    if shown:
        truth.drafts[id_] = shown
    # what was typed after the text last shown as saved was under way; before the first one is, all of it
    if found in typed[typed.index(shown) + 1 if shown else 0 :]:
        truth.under_way += 1
        truth.drafts[id_] = found
    truth.check(client, drafts)


def main() -> None:
    """Kill, print one JSON object, and with --record append it to the kept records."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, help="how many")
    parser.add_argument("--pictures", type=int, default=12, help="pictures in review")
    parser.add_argument("--record", action="store_true", help="append to reports/benchmarks/review_kills.jsonl")
    asked = parser.parse_args()
    kinds = [kind for kind, share in SHARES.items() for _ in range(round(share * asked.kills))]
    random.Random(1).shuffle(kinds)  # noqa: S311 (no secret)
    truth = Truth()
    with tempfile.TemporaryDirectory() as root:
        server = Server(prepared(Path(root), asked.pictures))
        server.start()
        try:
            ids = Client(server.port).ask("/api/list")["ids"]
            for seed, kind in enumerate(kinds):
                if kind == "browser":
                    by_browser(server, truth, seed, Path(root))
                else:
                    by_program(kind, server, truth, ids, seed, Path(root))
                sys.stderr.write(f"\r{seed + 1} of {len(kinds)}: {kind}, {truth.edits} edits, {truth.lost} lost   ")
        finally:
            server.kill()
    told: dict[str, Any] = {
        "name": "review_kills",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "lost": truth.lost,
        "limit": 0,
        "kills": len(kinds),
        "by": {kind: kinds.count(kind) for kind in SHARES},
        "edits": truth.edits,
        "under_way": truth.under_way,
        "versions": {name: metadata.version(name) for name in ("gesso", "uvicorn", "fastapi", "selenium")},
        "machine": machine(),
    }
    record(told, keep=asked.record)


if __name__ == "__main__":
    main()
