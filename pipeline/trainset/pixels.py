"""A training set as pixels with captions, for the methods that train what sees pixels: VAE, CLIP, BLIP."""

import json
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline import imaging
from pipeline.errors import GessoError, PictureError
from pipeline.manifest import Row
from pipeline.settings import Buckets
from pipeline.stage import Tools
from pipeline.trainset import views

IN_MEMORY_BYTES = 2 * 2**30
"""Pixels up to this many bytes stay in memory; beyond that, the latest read."""
AT_ONCE = 64
"""Pictures that are decoded before the next are."""


@dataclass(frozen=True)
class PixelBatch:
    """Examples of one size: `pixels` B x 3 x H x W bytes, RGB, their `captions`, and the samples' names."""

    pixels: Tensor
    captions: tuple[str, ...]
    ids: tuple[str, ...]


@dataclass
class PixelExamples:
    """Rows of a training set, each at its bucket's size, decoded from the workspace as the latents' pixels are.

    `rows` are the manifest's. All are decoded once, when their sizes are first asked for; `limit` bounds the bytes that
    stay in memory.
    """

    rows: Sequence[Row]
    buckets: Buckets
    tools: Tools
    digest: str
    limit: int = IN_MEMORY_BYTES
    _held: OrderedDict[int, NDArray[np.uint8]] = field(init=False, default_factory=OrderedDict, repr=False)
    _held_bytes: int = field(init=False, default=0)
    _alone: Lock = field(init=False, default_factory=Lock, repr=False)

    @cached_property
    def sizes(self) -> Sequence[tuple[int, int]]:
        """Height and width of every row's pixels.

        Raises:
            GessoError: a picture could not be read again.
        """
        found: list[tuple[int, int]] = []
        for start in range(0, len(self.rows), AT_ONCE):
            made = self._read(range(start, min(start + AT_ONCE, len(self.rows))))
            found += [(one.shape[0], one.shape[1]) for one in made]
            self.tools.progress("pixels", len(found), len(self.rows))
        return found

    @cached_property
    def repeats(self) -> Sequence[int]:
        """How often every row comes in an epoch."""
        return [row["repeats"] for row in self.rows]

    def batch(self, rows: Sequence[int]) -> PixelBatch:
        """Read rows of one size."""
        with self._alone:  # a training reads ahead in a thread of its own
            pixels = np.stack(self._read(rows))
        return PixelBatch(
            pixels=torch.from_numpy(pixels).permute(0, 3, 1, 2),
            captions=tuple(self.rows[row]["caption"] for row in rows),
            ids=tuple(self.rows[row]["sample_id"] for row in rows),
        )

    def _read(self, rows: Sequence[int]) -> list[NDArray[np.uint8]]:
        missing = sorted({row for row in rows if row not in self._held})
        fresh = dict(zip(missing, self._decode(missing), strict=True))
        found = [fresh[row] if row in fresh else self._held[row] for row in rows]
        for row, pixels in zip(rows, found, strict=True):
            self._hold(row, pixels)
        return found

    def _decode(self, rows: Sequence[int]) -> Sequence[NDArray[np.uint8]]:
        if not rows:
            return ()
        with ThreadPoolExecutor(self.tools.workers) as pool:
            return list(pool.map(self._make, rows))

    def _make(self, number: int) -> NDArray[np.uint8]:
        row = self.rows[number]
        try:
            pixels = imaging.decode(self.tools.read(row["sample_id"])).pixels
        except PictureError as error:
            raise GessoError(f"picture {row['sample_id']} cannot be read again: {error}") from error
        return views.make(pixels, row["pixel_id"], row["view"], json.loads(row["transforms"]), self.buckets).pixels

    def _hold(self, row: int, pixels: NDArray[np.uint8]) -> None:
        if row in self._held:
            self._held.move_to_end(row)
            return
        self._held[row] = pixels
        self._held_bytes += pixels.nbytes
        while self._held_bytes > self.limit:
            _, dropped = self._held.popitem(last=False)
            self._held_bytes -= dropped.nbytes


def shown(batch: PixelBatch, processor: Any, *, device: torch.device) -> Tensor:  # noqa: ANN401 (transformers)
    """The batch's pixels as a CLIP or BLIP sees them, B x 3 x h x w float32, by its own processor."""
    seen: Tensor = processor.image_processor(images=list(batch.pixels), return_tensors="pt")["pixel_values"]
    return seen.to(device)
