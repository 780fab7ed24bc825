"""Reads a training set's rows from the cache: what the methods see as `Examples`."""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.errors import GessoError
from pipeline.manifest import Row, sound
from pipeline.stage import Stored
from pipeline.training.data import Batch, Examples

Numbers = NDArray[np.float32]
IN_MEMORY_BYTES = 2 * 2**30
"""Moments, and as much again of texts, up to this many bytes stay in memory; beyond that, the latest read."""


class Cells:
    """Rows of stored shards, read a row group at a time (about a megabyte), of which the recent ones stay in memory."""

    def __init__(self, stored: Stored, columns: Sequence[str], *, limit: int) -> None:
        self._places, self._columns, self._limit = stored.places(), list(columns), limit
        self._ends: dict[Path, list[int]] = {}
        self._held: OrderedDict[tuple[Path, int], tuple[list[tuple[Any, ...]], int]] = OrderedDict()
        self._alone = Lock()  # a training reads ahead in a thread of its own

    @property
    def held_bytes(self) -> int:
        """Bytes in memory."""
        return sum(size for _, size in self._held.values())

    def row(self, number: int) -> tuple[Any, ...]:
        """The columns of one of the wanted rows, by its number."""
        path, place = self._places[number]
        with self._alone:
            ends = self._ends_of(path)
            group = bisect_right(ends, place)
            return self._group(path, group)[place - (ends[group - 1] if group else 0)]

    def _ends_of(self, path: Path) -> list[int]:
        if path not in self._ends:
            with sound(path):
                found = pq.read_metadata(path)
            self._ends[path] = list(accumulate(found.row_group(at).num_rows for at in range(found.num_row_groups)))
        return self._ends[path]

    def _group(self, path: Path, group: int) -> list[tuple[Any, ...]]:
        """Its rows as Python's own objects: a step has no time for those of Arrow."""
        found = self._held.pop((path, group), None)
        if found is None:
            with sound(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
                table = file.read_row_group(group, columns=self._columns)
            while self._held and self.held_bytes + table.nbytes > self._limit:
                self._held.popitem(last=False)
            columns = (table[name].to_pylist() for name in self._columns)
            found = list(zip(*columns, strict=True)), table.nbytes
        self._held[path, group] = found
        return found[0]


@dataclass
class ParquetExamples:
    """Rows of a training set with their latents and texts in the cache.

    `rows` are the manifest's; `latents` has the same rows in the same order, and `texts` every caption and the empty
    one; it is None where text encoders are at work in each step. For SDXL `crops` has the rows of `latents`, and texts
    have summaries; `nothing_is_zeros` says what stands for no caption. Where a picture has a mask, `masks` has the rows
    of `latents`, too. `limit` bounds the bytes that latents, and again texts, take in memory. `prior` are the class
    pictures that belong to them.
    """

    rows: Sequence[Row]
    latents: Stored
    texts: Stored | None
    digest: str
    scale: float
    shift: float = 0.0
    limit: int = IN_MEMORY_BYTES
    crops: Stored | None = None
    nothing_is_zeros: bool = False
    masks: Stored | None = None
    prior: Examples | None = None

    @cached_property
    def sizes(self) -> Sequence[tuple[int, int]]:
        """Height and width of every row's latents.

        Raises:
            GessoError: a row has none, since its picture could not be read again.
        """
        found = self.latents.table(["latents__height", "latents__width"]).to_pylist()
        named = {row["pixel_id"]: row["sample_id"] for row in self.rows}
        for row in found:
            if row["error"]:
                raise GessoError(f"picture {named[row['pixel_id']]} has no latents: {row['error']}")
        return [(row["latents__height"], row["latents__width"]) for row in found]

    @cached_property
    def repeats(self) -> Sequence[int]:
        """How often every row comes in an epoch."""
        return [row["repeats"] for row in self.rows]

    @cached_property
    def empty_text(self) -> Tensor:
        """What a dropped caption leaves: the empty one's embedding, or zeros."""
        return self._nothing(self._text("")[0])

    @cached_property
    def empty_pooled(self) -> Tensor | None:
        """The summary that belongs to it, where there are summaries."""
        pooled = self._text("")[1]
        return None if pooled is None else self._nothing(pooled)

    def batch(self, rows: Sequence[int]) -> Batch:
        """Read rows of one size: their moments, what is told of their cut, and the embedding of their own caption."""
        captions = tuple(self.rows[row]["caption"] for row in rows)
        texts = [self._text(caption) for caption in captions] if self.texts else []
        pooled = [one for _, one in texts if one is not None]
        return Batch(
            moments=_stacked([self._moments(row) for row in rows]),
            text=_stacked([text for text, _ in texts]) if texts else None,
            ids=tuple(self.rows[row]["sample_id"] for row in rows),
            rows=tuple(rows),
            captions=captions,
            pooled=_stacked(pooled) if pooled else None,
            time_ids=None if self._time_ids is None else self._time_ids[list(rows)],
            mask=_stacked([self._mask(row) for row in rows]) if self.masks else None,
        )

    @cached_property
    def _latent_cells(self) -> Cells:
        names = ("moments", "channels", "height", "width")
        return Cells(self.latents, [f"latents__{name}" for name in names], limit=self.limit)

    @cached_property
    def _text_cells(self) -> Cells:
        # shards from before there were summaries have no such column
        names = ("embedding", "tokens", "width", *(["pooled"] if self.crops else []))
        return Cells(self._texts, [f"texts__{name}" for name in names], limit=self.limit)

    @cached_property
    def _captions(self) -> dict[str, int]:
        return {request[0]: number for number, request in enumerate(self._texts.wanted)}

    @property
    def _texts(self) -> Stored:
        if self.texts is None:
            raise ValueError("a training set without embeddings: its captions are for text encoders to read")
        return self.texts

    def _moments(self, row: int) -> Numbers:
        return _numbers(*self._latent_cells.row(row))

    @cached_property
    def _mask_cells(self) -> Cells:
        if self.masks is None:
            raise ValueError("a training set without masks")
        return Cells(self.masks, ["masks__weights"], limit=self.limit)

    def _mask(self, row: int) -> Numbers:
        data = self._mask_cells.row(row)[0]
        if data is None:
            raise GessoError(f"picture {self.rows[row]['sample_id']} has a mask that cannot be read")
        return _numbers(data, 1, *self.sizes[row])

    @cached_property
    def _time_ids(self) -> Tensor | None:
        if self.crops is None:
            return None
        found = self.crops.table().select(self.crops.adds.names)
        return torch.tensor([list(row.values()) for row in found.to_pylist()], dtype=torch.float32)

    def _text(self, caption: str) -> tuple[Numbers, Numbers | None]:
        data, tokens, width, *pooled = self._text_cells.row(self._captions[caption])
        return _numbers(data, tokens, width), _numbers(pooled[0], -1) if pooled else None

    def _nothing(self, empty: Numbers) -> Tensor:
        return torch.zeros(empty.shape) if self.nothing_is_zeros else torch.from_numpy(empty.copy())


def _numbers(data: Any, *shape: int) -> Numbers:  # noqa: ANN401 (bytes, as float32 in C order)
    return np.frombuffer(data, np.float32).reshape(shape)


def _stacked(each: Sequence[Numbers]) -> Tensor:
    return torch.from_numpy(np.stack(each))
