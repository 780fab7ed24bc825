"""How much fine-grained noise a picture has, measured at full size: shrinking would average it away.

After Immerkaer, "Fast noise variance estimation" (Computer Vision and Image Understanding 64, 1996): a difference of
two Laplacians answers neither to plain areas nor to slopes; to noise of standard deviation s it answers with 6 s. The
median of its answers is taken in place of their mean (times 1.4826, which is the standard deviation of a normal
distribution), so that edges and fine structure in less than half of the pixels do not count. Nine patches are enough.
"""

import cv2
import numpy as np
import pyarrow as pa
from pydantic import BaseModel

from pipeline.imaging import Canonical

VERSION = 3
ADDS = pa.schema(
    [
        pa.field(
            "noise__sigma",
            pa.float32(),
            metadata={
                b"description": b"standard deviation of fine noise, levels of 255, 0 to 63; above 12 it is plain to see"
            },
        )
    ]
)
LIMITS = {"noise__sigma": {"max": 12}}

_KERNEL = np.array([1, -2, 1], np.float32)
_GAIN = 6.0
"""Standard deviation of the answers to noise of standard deviation 1: the root of the sum of the squared weights."""


class Params(BaseModel, frozen=True, extra="forbid"):
    """None."""


def measure(picture: Canonical, params: Params) -> dict[str, float]:  # noqa: ARG001 - every scorer's signature
    """The standard deviation of the noise in luma; 0 where the picture is smaller than 3 x 3."""
    if min(picture.pixels.shape[:2]) < 3:
        return {"noise__sigma": 0.0}
    count, high, wide = picture.crops.shape
    answers = cv2.sepFilter2D(picture.crops.reshape(-1, wide), cv2.CV_16S, _KERNEL, _KERNEL)
    inner = cv2.convertScaleAbs(answers).reshape(count, high, wide)[:, 1:-1, 1:-1].reshape(-1, wide - 2)
    below = np.cumsum(cv2.calcHist([inner], [0], None, [256], [0, 256]), dtype=np.float64)
    return {"noise__sigma": float(1.4826 * np.searchsorted(below, below[-1] / 2) / _GAIN)}
