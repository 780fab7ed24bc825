"""Reads a training set's rows from the cache: what the methods see as `Examples`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from pipeline.manifest import Row
from pipeline.stage import Stored
from pipeline.training.data import Batch

IN_MEMORY_BYTES = 2 * 2**30
"""Moments up to this many bytes are held in memory; beyond, a row's shard is read when its turn comes."""


@dataclass
class ParquetExamples:
    """Rows of a training set with their latents and texts in the cache; `rows` are the manifest's, in its order."""

    rows: Sequence[Row]
    latents: Stored
    texts: Stored
    digest: str
    scale: float
    shift: float = 0.0
    _shards: dict[Path, pa.Table] = field(default_factory=dict)

    @cached_property
    def sizes(self) -> Sequence[tuple[int, int]]:
        """Height and width of every row's latents."""
        table = self.latents.table(["latents__height", "latents__width"])
        heights, widths = table["latents__height"].to_pylist(), table["latents__width"].to_pylist()
        return list(zip(heights, widths, strict=True))

    @property
    def repeats(self) -> Sequence[int]:
        """How often every row comes in an epoch."""
        return [row["repeats"] for row in self.rows]

    @cached_property
    def _embeddings(self) -> dict[str, Tensor]:
        return {
            row["caption"]: _tensor(row["texts__embedding"], row["texts__tokens"], row["texts__width"])
            for row in self.texts.table().to_pylist()
        }

    @property
    def empty_text(self) -> Tensor:
        """The empty caption's embedding."""
        return self._embeddings[""]

    @cached_property
    def _places(self) -> list[tuple[Path, int]]:
        return self.latents.places()

    def _moments(self, row: int) -> Tensor:
        path, place = self._places[row]
        table = self._shards.get(path)
        if table is None:
            columns = ["latents__moments", "latents__channels", "latents__height", "latents__width"]
            table = pq.read_table(path, columns=columns)
            held = sum(one.nbytes for one in self._shards.values())
            if held + table.nbytes > IN_MEMORY_BYTES:
                self._shards.clear()
            self._shards[path] = table
        found = {name: table[name][place].as_py() for name in table.column_names}
        shape = (found["latents__channels"], found["latents__height"], found["latents__width"])
        return _tensor(found["latents__moments"], *shape)

    def batch(self, rows: Sequence[int]) -> Batch:
        """Read rows of one size: their moments, and the embedding of their own caption."""
        return Batch(
            moments=torch.stack([self._moments(row) for row in rows]),
            text=torch.stack([self._embeddings[self.rows[row]["caption"]] for row in rows]),
            ids=tuple(self.rows[row]["sample_id"] for row in rows),
            rows=tuple(rows),
        )


def _tensor(data: bytes, *shape: int) -> Tensor:
    return torch.from_numpy(np.frombuffer(data, np.float32).reshape(shape).copy())
