"""Being told to stop by a signal: at once or, where the work is patient, at its next safe point."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, `kill` (and what stops services and batch jobs), and a terminal that was closed."""

_wishes: list[int] = []  # a process gets its signals as a whole, so this is the process's


class Stopped(KeyboardInterrupt):
    """A signal, `signal`, ended the work. What copes with Ctrl-C copes with it."""

    def __init__(self, number: int) -> None:
        self.signal = number
        super().__init__(signal.Signals(number).name)


@contextmanager
def by_signal() -> Iterator[None]:
    """Within the block each of SIGNALS raises Stopped, but for those that whoever started the process had ignored."""

    def stop(number: int, _: FrameType | None) -> None:
        raise Stopped(number)

    with _handled(stop):
        yield


@contextmanager
def patient(say: Callable[[str], None]) -> Iterator[None]:
    """Within the block the first of SIGNALS is a wish that `heed` fulfils; the next one acts as it did before.

    A wish that nobody heeded is fulfilled at the block's end. Off the main thread, which alone gets signals, this does
    nothing.
    """

    def note(number: int, _: FrameType | None) -> None:
        _wishes.append(number)
        for each, handler in before.items():
            signal.signal(each, handler)
        with suppress(RuntimeError):  # where the signal came while something was being printed
            say("stopping at the next safe point; a second signal stops at once")

    with _handled(note) as before:
        try:
            yield
            heed()
        finally:
            _wishes.clear()


def wished() -> bool:
    """Whether the work is to stop at its next safe point."""
    return bool(_wishes)


def signal_wished() -> int:
    """The signal that asked for it, or 0."""
    return _wishes[0] if _wishes else 0


def wish(number: int) -> None:
    """Stop at the next safe point as signal `number` would ask for it, which came to another process of the work."""
    if not _wishes:
        _wishes.append(number)


def heed() -> None:
    """Stop here, if that is wished.

    Raises:
        Stopped: it is.
    """
    if _wishes:
        raise Stopped(_wishes[0])


@contextmanager
def _handled(
    handler: Callable[[int, FrameType | None], None],
) -> Iterator[dict[signal.Signals, signal.Handlers | Callable[[int, FrameType | None], object] | int | None]]:
    """Handle SIGNALS within the block; the handlers before it, by signal."""
    if threading.current_thread() is not threading.main_thread():
        yield {}
        return
    before = {one: signal.getsignal(one) for one in SIGNALS if signal.getsignal(one) not in (signal.SIG_IGN, None)}
    for one in before:
        signal.signal(one, handler)
    try:
        yield before
    finally:
        for one, earlier in before.items():
            signal.signal(one, earlier)
