"""Progress of long work: a bar with rate and estimate on a terminal, plain lines elsewhere."""

import sys
import time
from typing import Any

import click
from tqdm import tqdm

PLAIN_SECONDS = 15.0
"""Time between two plain lines about one stage."""


class Progress:
    """Shows how far stages are, on standard error."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._bars: dict[str, tqdm[Any]] = {}
        self._began: dict[str, float] = {}
        self._spoke: dict[str, float] = {}

    def stage(self, name: str, done: int, total: int) -> None:
        """Say that `done` of `total` rows of a stage are done; the last call of a stage has them equal."""
        if self._terminal:
            self._bar(name, done, total)
        else:
            self._line(name, done, total)

    def say(self, text: str) -> None:
        """Print a line without disturbing a bar."""
        if self._terminal:
            tqdm.write(text, file=sys.stderr)
        else:
            click.echo(text, err=True)

    def _bar(self, name: str, done: int, total: int) -> None:
        if name not in self._bars:
            self._bars[name] = tqdm(total=total, initial=done, desc=name, unit="row", leave=False)
        self._bars[name].update(done - self._bars[name].n)
        if done >= total:
            self._bars.pop(name).close()

    def _line(self, name: str, done: int, total: int) -> None:
        now = time.monotonic()
        began = self._began.setdefault(name, now)
        if done >= total:
            del self._began[name]
            self._spoke.pop(name, None)
        elif now - self._spoke.get(name, began) >= PLAIN_SECONDS:
            self._spoke[name] = now
            rate = done / (now - began)
            left = f", {(total - done) / rate:.0f} s left" if rate else ""
            self.say(f"{name}: {done} of {total}, {rate:.1f} a second{left}")
