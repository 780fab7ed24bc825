"""The pixels of a view: crop and other spatial transforms, bucket, resize, then photometric transforms.

View 0 is the picture itself. Held-out pictures have no other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import augment
from pipeline.settings import Buckets
from pipeline.trainset import buckets
from pipeline.trainset.buckets import Placement

Transforms = Sequence[dict[str, dict[str, Any] | None]]


@dataclass(frozen=True, eq=False)
class View:
    """One view of a picture, at its bucket's size."""

    pixels: NDArray[np.uint8]
    placement: Placement
    source_width: int
    source_height: int


def make(pixels: NDArray[np.uint8], pixel_id: str, view: int, transforms: Transforms, sizes: Buckets) -> View:
    """Make view `view` of canonical pixels with the transforms that its caption allows."""
    height, width = pixels.shape[:2]
    if view:
        pixels = augment.apply_spatial(pixels, transforms, pixel_id=pixel_id, view=view)
    placement = buckets.place(pixels.shape[1], pixels.shape[0], sizes)
    fitted = buckets.fit(pixels, placement)
    if view:
        fitted = augment.apply_photometric(fitted, transforms, pixel_id=pixel_id, view=view)
    return View(fitted, placement, width, height)
