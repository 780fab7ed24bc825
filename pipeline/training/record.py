"""The numbers of a training: rows for Parquet and boards to watch, and how far it is, told after every step."""

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa

from pipeline.manifest import read_table
from pipeline.training.boards import Boards, Seen
from pipeline.training.settings import TrainSettings
from pipeline.workspace import write_table

SCHEMA = pa.schema([("step", pa.int64()), ("name", pa.string()), ("value", pa.float64())])
"""`metrics.parquet`: a row for each number; steps count from 1."""

LOSS, RATE, NORM = "train/loss", "train/learning_rate", "train/grad_norm"

Progress = Callable[[int, int, str], None]
"""Is told the steps that are done, how many there are, and a note, such as the last loss."""


def unseen(done: int, steps: int, note: str) -> None:
    """The progress of a training that nobody watches."""


class Record:
    """Collects the numbers of steps after `done`; those up to `done` are read from an earlier `metrics.parquet`.

    `save` replaces `folder/metrics.parquet` in one move; TensorBoard reads `folder/tensorboard` at any time.
    Without `writes` it only reads. `settings` say how many steps there are, and which boards show them.
    """

    def __init__(
        self,
        folder: Path,
        settings: TrainSettings,
        *,
        done: int,
        progress: Progress = unseen,
        writes: bool = True,
        title: str = "",
    ) -> None:
        self._path, self._steps, self._progress = folder / "metrics.parquet", settings.steps, progress
        self._rows: list[tuple[int, str, float]] = []
        if done and self._path.exists():
            earlier = read_table(self._path).to_pylist()
            self._rows = [(row["step"], row["name"], row["value"]) for row in earlier if row["step"] <= done]
        self._boards = Boards(folder, settings, done=done, title=title) if writes else None
        progress(done, self._steps, "")

    def add(self, step: int, **values: float) -> None:
        """Record `train/<name>` of step `step` (from 1), and tell how far it is."""
        named = {f"train/{name}": value for name, value in values.items()}
        self._rows += [(step, name, value) for name, value in named.items()]
        if self._boards:
            self._boards.numbers(step, named)
        self._progress(step, self._steps, f"loss {values['loss']:.4g}" if "loss" in values else "")

    def seen(self, step: int, found: Seen | None) -> None:
        """Show what an evaluation saw after `step` steps, on the boards alone."""
        if self._boards and found:
            self._boards.seen(step, found)

    def losses(self) -> tuple[float, ...]:
        """The loss of every step from the first."""
        return tuple(value for _, name, value in self._rows if name == LOSS)

    def save(self) -> None:
        """Write all rows to `metrics.parquet`."""
        if self._boards is None:
            return
        columns = list(zip(*self._rows, strict=True)) or [(), (), ()]
        table = pa.table([pa.array(one, kind) for one, kind in zip(columns, SCHEMA.types, strict=True)], schema=SCHEMA)
        write_table(self._path, table)
        self._boards.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._boards:
            self._boards.close()
