"""How sharp the sharpest parts of a picture are, at the size of the proxy.

After Crete, Dolmiere, Ladet and Nicolas, "The blur effect" (SPIE 2007): blur the luma once more with a box; steps
between neighbours shrink much where the picture was sharp and little where it was blurred already. Per axis, with D the
steps before, B those after, and a box of w pixels,

    score = sum(D * max(0, D - B)) / sum(D * D) / (1 - 1 / w)

which is 1 for an ideal edge, falls towards 0 with blur, and does not change when contrast is scaled. Crete weights
steps by D; the square here lets a sharp subject stand before a blurred ground, and sharp edges on plain areas count in
full. Steps count from 2 of 255 on; below are compression and rounding. The worse axis counts, so that motion blur
shows. Noise is sharp by this measure.

No box need be computed: the step between two neighbouring boxes is what enters less what leaves, divided by w.
"""

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from pipeline.imaging import Canonical

VERSION = 2
ADDS = pa.schema(
    [
        pa.field(
            "sharpness__score",
            pa.float32(),
            metadata={b"description": b"sharpness at 512 px, 0 (blurred, or no edge at all) to 1 (ideal edges)"},
        )
    ]
)
LIMITS = {"sharpness__score": {"min": 0.35}}

_FLOOR = 2.0
_LINES = 128
"""From this many lines on every third one is looked at: they tell the same in a third of the time."""
_EQUAL_LUMA = 0.25
"""Below this share of the liveliest channel's standard deviation, luma does not tell the picture's edges."""
_FEW = 0.01
"""An axis with less than this share of the other's steps (squared) has no edges to judge by."""


class Params(BaseModel, frozen=True, extra="forbid"):
    """How the picture is blurred once more."""

    reach: int = Field(5, ge=1, le=20, description="px of the proxy to either side that the box covers, 1 to 20")


def measure(picture: Canonical, params: Params) -> dict[str, float]:
    """The score of the worse axis; 0 where there is no edge."""
    plane = _plane(picture)
    axes = [_axis(one[:: 1 if len(one) < _LINES else 3], params.reach) for one in (plane, cv2.transpose(plane))]
    most = max(energy for energy, _ in axes)
    scores = [score for energy, score in axes if energy > _FEW * most]
    return {"sharpness__score": min(1.0, min(scores, default=0.0))}


def _plane(picture: Canonical) -> NDArray[np.uint8]:
    """Luma; or the channel that varies most, where colours of equal luma hide what the picture shows."""
    some = slice(None, None, 4)  # a sixteenth of the pixels shows as well how far they spread
    spreads = cv2.meanStdDev(np.ascontiguousarray(picture.proxy[some, some]))[1].ravel()
    if cv2.meanStdDev(np.ascontiguousarray(picture.luma[some, some]))[1].item() < _EQUAL_LUMA * spreads.max():
        return np.ascontiguousarray(picture.proxy[..., int(spreads.argmax())])
    return picture.luma


def _axis(plane: NDArray[np.uint8], reach: int) -> tuple[float, float]:
    """Energy of the steps from left to right, sum(D * D), and the score."""
    width, box = plane.shape[1], 2 * reach + 1
    if width < 2:
        return 0.0, 0.0
    padded = cv2.copyMakeBorder(plane, 0, 0, reach, reach, cv2.BORDER_REPLICATE)
    after = cv2.absdiff(padded[:, box:], padded[:, : width - 1])
    steps = cv2.subtract(cv2.absdiff(plane[:, 1:], plane[:, :-1]), _FLOOR)  # never below 0
    before = steps * np.int16(box)
    _, lost = cv2.threshold(before - after, 0, 0, cv2.THRESH_TOZERO)
    energy = cv2.norm(before, cv2.NORM_L2SQR)
    # 2ab = a^2 + b^2 - (a - b)^2
    product = (energy + cv2.norm(lost, cv2.NORM_L2SQR) - cv2.norm(before, lost, cv2.NORM_L2SQR)) / 2
    return energy, product / energy / (1 - 1 / box) if energy else 0.0
