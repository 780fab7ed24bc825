"""Results of work on several threads, handed over one by one as they come, and few of them held at a time."""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

HELD = 8
"""Results that wait for being taken; a thread that has one more waits itself."""
Task = TypeVar("Task")
Result = TypeVar("Result")


class _Left(Exception):  # noqa: N818 (no error: nobody takes results any more)
    """Nobody takes results any more."""


def streamed(
    work: Callable[[Task, Callable[[Result], None]], None], tasks: Sequence[Task], *, threads: int
) -> Iterator[Result]:
    """What `work(task, tell)` tells of each task, in no order; an error of one ends it.

    Work stops at its next result where the iterator is closed.
    """
    results: queue.Queue[Result | None] = queue.Queue(HELD)
    left = threading.Event()

    def tell(result: Result) -> None:
        if left.is_set():
            raise _Left
        results.put(result)

    def do(task: Task) -> None:
        try:
            if not left.is_set():
                work(task, tell)
        finally:
            results.put(None)

    with ThreadPoolExecutor(max(1, threads)) as pool:
        done = [pool.submit(do, task) for task in tasks]
        try:
            for _ in tasks:
                while (result := results.get()) is not None:
                    yield result
        finally:
            left.set()
            while not all(one.done() for one in done):
                try:
                    results.get(timeout=0.01)
                except queue.Empty:
                    continue
        for one in done:
            one.result()
