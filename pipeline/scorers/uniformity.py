"""How much of a picture is of one colour: blank pages, plain screens, a speck on a sheet.

The colour is the median of each channel, of some thousand pixels of the proxy.
"""

import cv2
import numpy as np
import pyarrow as pa
from pydantic import BaseModel, Field

from pipeline.imaging import Canonical

VERSION = 2
ADDS = pa.schema(
    [
        pa.field(
            "uniformity__share",
            pa.float32(),
            metadata={
                b"description": b"share of pixels of the picture's median colour, 0 to 1; above 0.96 it is blank"
            },
        )
    ]
)
LIMITS = {"uniformity__share": {"max": 0.96}}


class Params(BaseModel, frozen=True, extra="forbid"):
    """What counts as one colour."""

    tolerance: int = Field(12, ge=0, le=128, description="levels that a channel may be off by, 0 to 128")


def measure(picture: Canonical, params: Params) -> dict[str, float]:
    """The share of pixels within the tolerance in every channel."""
    middle = np.array([np.searchsorted(below, 0.5) for below in picture.levels], np.float64)
    within = cv2.inRange(picture.dots, middle - params.tolerance, middle + params.tolerance)
    return {"uniformity__share": cv2.countNonZero(within) / within.size}
