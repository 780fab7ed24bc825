"""Progress of long work: a bar with rate and estimate on a terminal, plain lines elsewhere."""

import sys
import time
from typing import Any

import click
from tqdm import tqdm

PLAIN_SECONDS = 15.0
"""Time between two plain lines about one stage."""


class Progress:
    """Shows how far stages are."""

    def __init__(self) -> None:
        self._bars: dict[str, tqdm[Any]] = {}
        self._began: dict[str, float] = {}
        self._spoke: dict[str, float] = {}

    def stage(self, name: str, done: int, total: int) -> None:
        """Say that `done` of `total` rows of a stage are done."""
        if sys.stderr.isatty():
            bar = self._bars.get(name)
            if bar is None:
                bar = self._bars[name] = tqdm(total=total, desc=name, unit="row", leave=False)
            bar.update(done - bar.n)
            if done >= total:
                self._bars.pop(name).close()
            return
        now = time.monotonic()
        began = self._began.setdefault(name, now)
        if done >= total:
            self._began.pop(name)
            self._spoke.pop(name, None)
        elif now - self._spoke.setdefault(name, began) > PLAIN_SECONDS:
            self._spoke[name] = now
            rate = done / max(now - began, 1e-9)
            self.say(f"{name}: {done} of {total}, {rate:.1f} a second, {(total - done) / max(rate, 1e-9):.0f} s left")

    def say(self, text: str) -> None:
        """Print a line without disturbing a bar."""
        if sys.stderr.isatty():
            tqdm.write(text, file=sys.stderr)
        else:
            click.echo(text, err=True)
