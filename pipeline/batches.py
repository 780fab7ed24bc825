"""Batches as large as memory holds: halved where it runs out, and what comes next made ready meanwhile."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from pipeline.errors import GessoError
from pipeline.training.parts import out_of_memory

Item = TypeVar("Item")
Ready = TypeVar("Ready")
Made = TypeVar("Made")


@dataclass
class Batches:
    """Works through items in batches of at most `most`, which is halved for good where memory runs out."""

    most: int

    def each(
        self,
        items: Sequence[Item],
        prepare: Callable[[Item], Ready],
        work: Callable[[Sequence[Ready]], Sequence[Made]],
        *,
        say: Callable[[str], None],
    ) -> list[Made]:
        """What `work` makes of every item, in order.

        `prepare` makes single items ready, in a thread of its own and at most two batches ahead; `say` hears of every
        halving.

        Raises:
            GessoError: memory does not hold a single item.
        """
        made: list[Made] = []
        with ThreadPoolExecutor(1) as pool:
            coming = _ahead(pool, prepare, items, 2 * self.most)
            ready: list[Ready] = []
            while len(made) < len(items):
                while len(ready) < min(self.most, len(items) - len(made)):
                    ready.append(next(coming))
                try:
                    made += work(ready[: self.most])
                except (RuntimeError, MemoryError) as error:
                    if not out_of_memory(error):
                        raise
                    told = str(error).strip().partition("\n")[0]
                else:
                    del ready[: self.most]
                    continue
                # the error, which holds on to the batch's tensors, is gone by now
                self._halve(min(self.most, len(ready)), told, say)
        return made

    def _halve(self, tried: int, told: str, say: Callable[[str], None]) -> None:
        import torch

        if tried == 1:
            raise GessoError(
                f"memory does not hold even one picture ({told}). Take a smaller model, or one with half the bytes a "
                "number (dtype bfloat16), or another device."
            )
        self.most = tried // 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        say(f"memory ran out ({told}): from now on {self.most} pictures at a time instead of {tried}")


def _ahead(
    pool: ThreadPoolExecutor, prepare: Callable[[Item], Ready], items: Sequence[Item], most: int
) -> Iterator[Ready]:
    """The items, made ready in order, at most `most` of them before they are asked for."""
    waiting: deque[Future[Ready]] = deque()
    for item in items:
        waiting.append(pool.submit(prepare, item))
        if len(waiting) > most:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
