"""Stage: how much each cell of a view's latents counts in the loss, 0 to 1, by the mask that belongs to its picture.

A mask takes every way that its picture takes: decoded by the same function, brought to the picture's size, cropped,
flipped and bent by the same draws, cut to the same bucket, and then averaged over each latent cell. What a view adds
around its picture counts nothing. Grey is a share.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from pipeline import augment, imaging
from pipeline.errors import PictureError
from pipeline.manifest import Row
from pipeline.settings import Buckets
from pipeline.stage import Tools
from pipeline.trainset import buckets
from pipeline.trainset.views import Transforms

VERSION = 1
KEY = ("pixel_id", "view")
READS = ("transforms", "mask", "height", "width", "rows", "columns")
ADDS = pa.schema(
    [pa.field("masks__weights", pa.binary(), metadata={b"description": b"h x w float32, C order, 0 to 1"})]
)


class Params(BaseModel, frozen=True, extra="forbid"):
    """What decides the weights beside mask, picture and view."""

    buckets: Buckets = Field(Buckets(), description="sizes that pictures are brought to")


def run(rows: Sequence[Row], params: Params, tools: Tools) -> Sequence[Mapping[str, Any]]:
    """Weigh the latents' cells of each view.

    A row has its `mask` (the sample id of the mask's bytes; None counts every cell in full), its picture's `height` and
    `width`, and its latents' `rows` and `columns`, None where the picture could not be read.
    """
    made: list[Mapping[str, Any]] = []
    for row in rows:
        if row["height"] is None:
            made.append({"error": "unreadable: its picture has no size"})
            continue
        grid = (row["rows"], row["columns"])
        if row["mask"] is None:
            made.append({"masks__weights": np.ones(grid, np.float32).tobytes()})
            continue
        try:
            pixels = imaging.decode(tools.read(row["mask"])).pixels
        except PictureError as error:
            made.append({"error": f"unreadable: its mask ({error})"})
            continue
        mask = brought(pixels, (row["height"], row["width"]))
        found = weights(mask, row["pixel_id"], row["view"], json.loads(row["transforms"]), params.buckets, grid)
        made.append({"masks__weights": found.tobytes()})
    return made


def brought(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """A mask's brightness, H x W, at its picture's size (height, width)."""
    grey = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)
    if grey.shape == size:
        return grey
    shrinking = size[0] * size[1] < grey.size
    how = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(grey, (size[1], size[0]), interpolation=how), np.uint8)


def weights(
    mask: NDArray[np.uint8], pixel_id: str, view: int, transforms: Transforms, sizes: Buckets, grid: tuple[int, int]
) -> NDArray[np.float32]:
    """The mean of the mask over each cell of a view's latents (`grid`: rows and columns), 0 to 1."""
    seen = augment.follow_mask(mask, transforms, pixel_id=pixel_id, view=view)
    placed = buckets.place(seen.shape[1], seen.shape[0], sizes)
    fitted = buckets.fit(seen, placed).astype(np.float32)
    # averages exactly, since a bucket's sides are whole numbers of cells
    return np.asarray(cv2.resize(fitted, (grid[1], grid[0]), interpolation=cv2.INTER_AREA) / 255, np.float32)
