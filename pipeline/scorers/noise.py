"""How much fine-grained noise a picture has, measured at full size: shrinking would average it away.

After Immerkaer, "Fast noise variance estimation" (Computer Vision and Image Understanding 64, 1996): a difference of
two Laplacians answers neither to plain areas nor to slopes; to noise of standard deviation s it answers with 6 s. The
median of its answers is taken in place of their mean (times 1.4826, which is the standard deviation of a normal
distribution), so that edges and fine structure in less than half of the pixels do not count. Nine patches are enough.
"""

import cv2
import numpy as np
import pyarrow as pa
from pydantic import BaseModel, Field

from pipeline.imaging import Canonical

VERSION = 1
ADDS = pa.schema(
    [
        pa.field(
            "noise__sigma",
            pa.float32(),
            metadata={b"description": b"standard deviation of fine noise, levels of 255; above 12 it is plain to see"},
        )
    ]
)

_MASK = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
_GAIN = float(np.sqrt((_MASK**2).sum()))
_PATCHES = 3
"""Patches along each side."""


class Params(BaseModel, frozen=True, extra="forbid"):
    """How much is looked at."""

    patch: int = Field(128, ge=16, le=1024, description="side of each of the nine patches, px, 16 to 1024")


def measure(picture: Canonical, params: Params) -> dict[str, float]:
    """The standard deviation of the noise in luma; 0 where the picture is smaller than 3 x 3."""
    high, wide = picture.pixels.shape[:2]
    if min(high, wide) < 3:
        return {"noise__sigma": 0.0}
    answers = [
        np.abs(cv2.filter2D(cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY), cv2.CV_32F, _MASK)[1:-1, 1:-1]).ravel()
        for patch in (
            picture.pixels[top : top + params.patch, left : left + params.patch]
            for top in _starts(high, params.patch)
            for left in _starts(wide, params.patch)
        )
    ]
    return {"noise__sigma": float(1.4826 * np.median(np.concatenate(answers)) / _GAIN)}


def _starts(side: int, patch: int) -> list[int]:
    """Where patches begin along a side, evenly spread and not overlapping where there is room for fewer."""
    count = max(1, min(_PATCHES, side // patch))
    return [round(place) for place in np.linspace(0, max(0, side - patch), count)]
