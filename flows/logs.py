"""A run's log: `log.txt` in its folder has what was said and what the library noted, with time, level and place."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tqdm import tqdm

FILE = "log.txt"
LOGGERS = ("pipeline", "flows")
LINE = "%(asctime)s.%(msecs)03dZ %(levelname)-7s %(name)s: %(message)s"


class _File(logging.FileHandler):
    """Leaves out what cannot be written: a full disk ends a run with one sentence, and the log must not be another."""

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's own name)
        pass


class _Terminal(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=sys.stderr)


@contextmanager
def recording(folder: Path, *, verbose: bool = False) -> Iterator[None]:
    """Add what is logged in the with-block to the log in `folder`; `verbose` shows the library's lines on stderr, too.

    What a library says by itself, Prefect's records for one, is not among it.
    """
    # mode "a": where Prefect sets logging up it closes all handlers, and such a one opens its file again
    file = _File(folder / FILE, mode="a", encoding="utf-8", delay=True)
    written = logging.Formatter(LINE, "%Y-%m-%dT%H:%M:%S")
    written.converter = time.gmtime
    file.setFormatter(written)
    shown = _Terminal()
    shown.setFormatter(logging.Formatter("%(name)s: %(message)s"))
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [(one, one.level) for one in loggers]
    for one in loggers:
        one.addHandler(file)
        one.setLevel(logging.INFO)
    if verbose:
        loggers[0].addHandler(shown)
    try:
        yield
    finally:
        for one, level in before:
            one.removeHandler(file)
            one.removeHandler(shown)
            one.setLevel(level)
        file.close()
