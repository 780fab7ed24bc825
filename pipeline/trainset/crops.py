"""Stage: what SDXL's UNet is told of a view: its picture's size, where it was cut, and the size that it came to.

They are SDXL's size and crop conditions (Podell et al. 2023, section 2.2), `time_ids` in diffusers. The picture's size
is that of the canonical pixels, before any resizing. The cut counts in pixels of the picture as it was resized: the
view's own and its bucket's together, so that a random crop is told as where it was taken, and a flipped picture as one
that was cut after flipping, since that is what the UNet sees. The last pair is the bucket.

diffusers' example resizes to one size and cuts a square out of it; sd-scripts cut to a bucket as is done here, and
mirror the cut of a flipped picture, which comes to the same.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, Field

from pipeline import augment
from pipeline.manifest import Row
from pipeline.settings import Buckets
from pipeline.stage import Tools
from pipeline.trainset import buckets
from pipeline.trainset.views import Transforms

VERSION = 1
KEY = ("pixel_id", "view")
READS = ("transforms", "height", "width")
NAMES = ("original_height", "original_width", "top", "left", "target_height", "target_width")
"""In the order in which SDXL reads them."""
_ABOUT = (
    *("of the picture, in pixels",) * 2,
    *("cut off before, in pixels of the resized picture",) * 2,
    *("of the bucket, in pixels",) * 2,
)
ADDS = pa.schema(
    [
        pa.field(f"crops__{name}", pa.int32(), metadata={b"description": about.encode()})
        for name, about in zip(NAMES, _ABOUT, strict=True)
    ]
)


class Params(BaseModel, frozen=True, extra="forbid"):
    """What decides the cut beside the picture's size and the view."""

    buckets: Buckets = Field(Buckets(), description="sizes that pictures are brought to")


def run(rows: Sequence[Row], params: Params, tools: Tools) -> Sequence[Mapping[str, Any]]:  # noqa: ARG001 (a stage's signature)
    """Follow each view's cut; a row has its picture's `height` and `width`, None where it could not be read."""
    made: list[Mapping[str, Any]] = []
    for row in rows:
        if row["height"] is None:
            made.append({"error": "unreadable: its picture has no size"})
            continue
        size, transforms = (row["height"], row["width"]), json.loads(row["transforms"])
        found = told(size, row["pixel_id"], row["view"], transforms, params.buckets)
        made.append({f"crops__{name}": value for name, value in zip(NAMES, found, strict=True)})
    return made


def told(
    size: tuple[int, int], pixel_id: str, view: int, transforms: Transforms, sizes: Buckets
) -> tuple[int, int, int, int, int, int]:
    """The six numbers (see `NAMES`) of a view of a picture of a size (height, width).

    A picture that the view turned by a quarter has its height and width exchanged. Where pixels lie outside the picture
    or are bent, the cut is that of the picture's corners, and never below 0.
    """
    height, width = size
    corners = np.array([[0, 0], [width - 1, 0], [0, height - 1]], np.float32)
    moved, (view_height, view_width) = augment.follow(corners, size, transforms, pixel_id=pixel_id, view=view)
    last = moved[1] + moved[2] - moved[0]
    left, top = (max(0.0, -float(least)) for least in np.vstack([moved, last]).min(axis=0))
    along = np.abs(moved[1] - moved[0])
    if along[1] > along[0]:
        height, width = width, height
    placed = buckets.place(view_width, view_height, sizes)
    return (
        height,
        width,
        round((top + placed.top) * placed.height / placed.cut_height),
        round((left + placed.left) * placed.width / placed.cut_width),
        placed.height,
        placed.width,
    )
