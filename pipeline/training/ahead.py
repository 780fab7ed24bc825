"""The batches of a training, the next of which is made ready while the model learns from the one before."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

from pipeline.training.data import Rows, Turns
from pipeline.training.settings import TrainSettings

Ready = tuple[Any, Any]
"""A batch, and what was drawn for it."""


def nothing(batch: Any, turn: int) -> None:  # noqa: ANN401 - a batch of any kind
    """What is drawn for a batch where nothing is random before its pass."""


class Ahead:
    """Batches by turn, with what `draw` makes of a batch and its turn; `beside` the training a turn ahead, in a thread.

    Nothing of it depends on when it is made. A turn that fails raises its error when it is asked for. Beside a training
    on a CPU there is no time to gain: its threads are at work, and two threads of Python wait for each other.
    """

    def __init__(
        self, examples: Rows, settings: TrainSettings, draw: Callable[[Any, int], Any] = nothing, *, beside: bool
    ) -> None:
        self._examples, self._draw, self._beside = examples, draw, beside
        self._turns = Turns(examples, batch_size=settings.batch_size, seed=settings.seed)
        self._end = settings.steps * settings.gradient_accumulation
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._coming: tuple[int, Future[Ready]] | None = None

    def get(self, turn: int) -> Ready:
        """The batch of a turn and what was drawn for it."""
        if not self._beside:
            return self._read(turn)
        coming, self._coming = self._coming, None
        if coming is None or coming[0] != turn:
            coming = turn, self._pool.submit(self._read, turn)
        found = coming[1].result()
        if turn + 1 < self._end:
            self._coming = turn + 1, self._pool.submit(self._read, turn + 1)
        return found

    def _read(self, turn: int) -> Ready:
        batch = self._examples.batch(self._turns.rows(turn))
        return batch, self._draw(batch, turn)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)
