"""Progress of long work on standard error: a bar with rate and estimate on a terminal, plain lines elsewhere."""

import logging
import os
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import click
from tqdm import tqdm

PLAIN_SECONDS = 15.0
"""Time between two plain lines about one stage, there and in a run's log."""
TICK_SECONDS = 1.0
"""Time between two looks at the clock of a bar that nothing is heard of."""
RECENT = 0.3
"""Weight of the latest rate in a bar's estimate, tqdm's default."""
UNITS = {
    "ingest": "file",
    "measure": "picture",
    "train": "step",
    "samples": "picture",
    "scores": "picture",
    "losses": "picture",
    "thumbnails": "picture",
    "trials": "trial",
}
"""What a stage counts; others count rows."""

log = logging.getLogger(__name__)


@dataclass
class _Pace:
    """How a stage has gone: where it was when it was first heard of, and when it was last spoken of."""

    began: float
    first: int
    spoke: float


class Progress:
    """Shows how far stages are; at the end of its with-block no bar is left, whatever happened.

    A terminal that is `dumb` (`$TERM`) gets plain lines. Everything that is said stands in the run's log, too.
    A terminal that has gone away, or a pipe that nobody reads, ends nothing.
    """

    def __init__(self) -> None:
        self._bars = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._shown: dict[str, tqdm[Any]] = {}
        self._paces: dict[str, _Pace] = {}
        self._ended = threading.Event()
        self._clock = threading.Thread(target=self._tick, daemon=True)
        self._lock = threading.Lock()

    def stage(self, name: str, done: int, total: int, note: str = "") -> None:
        """Say that `done` of `total` of a stage are done; `note` is a word on the last one, such as its loss.

        The first call says where the stage begins; what was there before counts for nothing in the rate. The last one
        has `done` and `total` equal.
        """
        if self._bars and total:
            with self._lock, suppress(OSError):
                self._bar(name, done, total, note)
        self._line(name, done, total, note)

    def say(self, text: str) -> None:
        """Print a line without disturbing a bar."""
        log.info(text)
        with suppress(OSError):
            if self._bars:
                tqdm.write(text, file=sys.stderr)
            else:
                click.echo(text, err=True)

    def __enter__(self) -> Self:
        if self._bars:
            self._clock.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._bars:
            self._clock.join()
        with suppress(OSError):
            for bar in self._shown.values():
                bar.close()
        self._shown.clear()
        self._paces.clear()

    def _tick(self) -> None:
        """Let the clocks of bars go on while a batch takes its time."""
        while not self._ended.wait(TICK_SECONDS):
            with self._lock, suppress(OSError):
                for bar in self._shown.values():
                    bar.refresh()

    def _bar(self, name: str, done: int, total: int, note: str) -> None:
        bar = self._shown.get(name)
        if bar is None:
            if done >= total:
                return
            # 0 is the mean rate since the start, which counts evaluations between steps; else the first rows, which
            # wait for a model to load, are soon forgotten
            bar = self._shown[name] = tqdm(
                total=total,
                initial=done,
                desc=name,
                unit=UNITS.get(name, "row"),
                leave=False,
                smoothing=0 if name == "train" else RECENT,
                dynamic_ncols=True,
                file=sys.stderr,
            )
        if note:
            bar.set_postfix_str(note, refresh=False)
        bar.total = total  # of what streams it is an estimate
        bar.update(done - bar.n)
        if done >= total:
            self._shown.pop(name).close()

    def _line(self, name: str, done: int, total: int, note: str) -> None:
        now = time.monotonic()
        pace = self._paces.setdefault(name, _Pace(now, done, now))
        if done >= total:
            del self._paces[name]
        elif now - pace.spoke >= PLAIN_SECONDS:
            pace.spoke = now
            rate = (done - pace.first) / (now - pace.began)
            speed = f"{rate:.1f} a second" if rate >= 1 else f"{rate:.2g} a second"
            left = f"{_duration((total - done) / rate)} left" if rate else ""
            text = ", ".join(filter(None, (f"{name}: {done} of {total}", speed, left, note)))
            if self._bars:
                log.info(text)
            else:
                self.say(text)


def _duration(seconds: float) -> str:
    """A time to wait as people say it, such as 20 s, 4 min or 2.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
