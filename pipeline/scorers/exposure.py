"""How light or dark a picture is, from the histogram of its luma (Rec. 601) on the proxy, and how far it ranges.

A small thing on a plain ground, or one of the ground's lightness in another colour, adds nothing to the contrast of
luma, but is plain to see. So the range is that of the channel that has most, and leaves a hundredth out on either end.

The two percentiles are those of cleanvision's rules, which call a picture dark where the 99th percentile is below 0.32
and over-exposed where the 5th is above 0.95.
"""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from pipeline.imaging import Canonical

VERSION = 3
ADDS = pa.schema(
    [
        pa.field(
            "exposure__p99",
            pa.float32(),
            metadata={b"description": b"luma that 1 % of the pixels exceed, 0 to 1; below 0.32 the picture is dark"},
        ),
        pa.field(
            "exposure__p5",
            pa.float32(),
            metadata={b"description": b"luma that 95 % of the pixels exceed, 0 to 1; above 0.95 it is over-exposed"},
        ),
        pa.field(
            "exposure__contrast",
            pa.float32(),
            metadata={b"description": b"95th less 5th percentile of luma, 0 to 1"},
        ),
        pa.field(
            "exposure__range",
            pa.float32(),
            metadata={
                b"description": b"99th less 1st percentile of the channel that ranges farthest, 0 to 1; below 0.1 the "
                b"picture is dull"
            },
        ),
        pa.field("exposure__dark", pa.float32(), metadata={b"description": b"share of nearly black pixels, 0 to 1"}),
        pa.field("exposure__bright", pa.float32(), metadata={b"description": b"share of nearly white pixels, 0 to 1"}),
    ]
)
LIMITS = {"exposure__p99": {"min": 0.32}, "exposure__p5": {"max": 0.95}, "exposure__range": {"min": 0.1}}

_LEVELS = np.arange(256) / 255


class Params(BaseModel, frozen=True, extra="forbid"):
    """What counts as nearly black and nearly white."""

    black: float = Field(0.05, ge=0, le=1, description="luma up to which a pixel counts as nearly black, 0 to 1")
    white: float = Field(0.95, ge=0, le=1, description="luma from which a pixel counts as nearly white, 0 to 1")


def measure(picture: Canonical, params: Params) -> dict[str, float]:
    """Percentiles, contrast, range, and shares of nearly black and nearly white pixels."""
    below = np.cumsum(picture.histogram, dtype=np.float64)
    below /= below[-1]
    p5, p95, p99 = (np.searchsorted(below, (0.05, 0.95, 0.99)) / 255).tolist()
    return {
        "exposure__p99": p99,
        "exposure__p5": p5,
        "exposure__contrast": p95 - p5,
        "exposure__range": max(_range(one) for one in picture.levels),
        "exposure__dark": float(below[np.searchsorted(_LEVELS, params.black, "right") - 1]),
        "exposure__bright": float(1 - below[np.searchsorted(_LEVELS, params.white) - 1]) if params.white > 0 else 1.0,
    }


def _range(below: NDArray[np.float64]) -> float:
    """Of a channel, of whose levels the shares of pixels are given, 0 to 1."""
    first, last = np.searchsorted(below, (0.01, 0.99)).tolist()
    return float(last - first) / 255
