"""Talks to a worker process, a JSON object a line: starts it, waits so long and no longer, and clears up after it.

A worker that dies or does not answer in time is killed and told of as `Fallen`; the next request starts another.
docs/lavis.md describes the lines.
"""

import atexit
import contextlib
import itertools
import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

START_SECONDS = 600.0
"""How long a worker may take to be ready; importing LAVIS on a busy machine has been seen to take two minutes."""
LAST_SECONDS = 5.0
"""How long a worker that has closed its output may take to end by itself, so that it is seen how it ended."""
TAIL = 4000
"""Bytes of what a worker wrote to standard error that are looked at for its last words."""


class Fallen(Exception):  # noqa: N818 (told of as what happened, which is for the caller to judge)
    """The worker is gone: `reason` is `crashed` or `timeout`, `detail` says how, with its last words."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason, self.detail = reason, detail
        super().__init__(detail)


class Refused(Exception):  # noqa: N818
    """The worker answered with an error, and is well."""


class Worker:
    """A worker process, run by `command` in a folder of its own, `folder`, which lasts until `close`."""

    def __init__(self, command: Sequence[str], *, start_seconds: float = START_SECONDS) -> None:
        self._command, self._start_seconds = list(command), start_seconds
        self._place = tempfile.TemporaryDirectory(prefix="gesso-lavis-", ignore_cleanup_errors=True)
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[str] | None = None
        self._heard: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._loaded: Mapping[str, Any] | None = None
        self.started = 0
        """How often a process was started."""

    @property
    def folder(self) -> Path:
        """Where the process works, and where files for it can be put."""
        return Path(self._place.name)

    @property
    def pid(self) -> int | None:
        """The process, where there is one."""
        return None if self._process is None else self._process.pid

    def load(self, request: Mapping[str, Any], *, seconds: float) -> None:
        """See that the running worker has loaded what `request` says, starting one where there is none.

        Raises:
            Fallen: it died or took longer than `seconds`.
            Refused: it cannot.
        """
        if self._process is None or self._loaded != request:
            self._loaded = None
            self.ask({"do": "load", **request}, seconds=seconds)
            self._loaded = request

    def ask(self, request: Mapping[str, Any], *, seconds: float) -> dict[str, Any]:
        """The answer to a request.

        Raises:
            Fallen: the worker died or took longer than `seconds`.
            Refused: it answered with an error.
        """
        process = self._process or self._start()
        number = next(self._numbers)
        assert process.stdin is not None  # noqa: S101 (for mypy: it was asked for)
        with contextlib.suppress(BrokenPipeError):  # that it has died is heard below
            process.stdin.write(json.dumps({"id": number, **request}) + "\n")
            process.stdin.flush()
        while (answer := self._hear(seconds)).get("id") != number:
            pass
        if "error" in answer:
            raise Refused(str(answer["error"]))
        return answer

    def close(self) -> None:
        """End the process and remove its folder."""
        self._end()
        self._place.cleanup()

    def _start(self) -> subprocess.Popen[str]:
        log = (self.folder / "stderr.txt").open("w", encoding="utf-8")
        with log:
            self._process = subprocess.Popen(  # noqa: S603 (our own command)
                self._command,
                cwd=self.folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                encoding="utf-8",
                start_new_session=True,  # Ctrl-C is gesso's to hear
            )
        self.started += 1
        self._heard = queue.SimpleQueue()
        assert self._process.stdout is not None  # noqa: S101 (for mypy: it was asked for)
        threading.Thread(target=_listen, args=(self._process.stdout, self._heard), daemon=True).start()
        ready = self._hear(self._start_seconds)
        if "ready" not in ready:
            raise Fallen("crashed", f"the worker began with {ready}; {self._fall()}")
        return self._process

    def _hear(self, seconds: float) -> dict[str, Any]:
        """The next line; "" stands for the end of them."""
        try:
            line = self._heard.get(timeout=seconds)
        except queue.Empty:
            raise Fallen("timeout", f"no answer within {seconds:g} s; {self._fall()}") from None
        try:
            return dict(json.loads(line))
        except (ValueError, TypeError):
            raise Fallen("crashed", self._fall(patience=LAST_SECONDS)) from None

    def _fall(self, *, patience: float = 0.0) -> str:
        """End what is left of the process; how it ended, and its last words."""
        code = self._end(patience=patience)
        ended = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        said = (self.folder / "stderr.txt").read_bytes()[-TAIL:].decode("utf-8", errors="replace").strip()
        return f"the worker {ended}" + (f", its last words: {said.splitlines()[-1]}" if said else "")

    def _end(self, *, patience: float = 0.0) -> int:
        process, self._process, self._loaded = self._process, None, None
        if process is None:
            return 0
        with contextlib.suppress(BrokenPipeError):
            if process.stdin is not None:
                process.stdin.close()
        try:
            return process.wait(patience)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        return process.wait()


def kept(command: Sequence[str]) -> Worker:
    """The one worker of this process, which lasts until it is released."""
    if not _kept:
        _kept.append(Worker(command))
    return _kept[0]


def release() -> None:
    """Let go of the worker that is kept, and of the model in it."""
    while _kept:
        _kept.pop().close()


def _listen(lines: IO[str], heard: "queue.SimpleQueue[str]") -> None:
    with lines:
        for line in lines:
            heard.put(line)
    heard.put("")


_kept: list[Worker] = []
atexit.register(release)
