"""How sharp the sharpest parts of a picture are, at the size of the proxy.

After Crete, Dolmiere, Ladet and Nicolas, "The blur effect" (SPIE 2007): blur the luma once more with a box of `window`
pixels; steps between neighbours shrink much where the picture was sharp and little where it was blurred already. Per
axis, with D the steps before and B those after,

    score = sum(D * max(0, D - B)) / sum(D * D) / (1 - 1 / window)

which is 1 for an ideal edge, falls towards 0 with blur, and does not change when contrast is scaled. Crete weights
steps by D; the square here lets a sharp subject stand before a blurred ground, and sharp edges on plain areas count in
full. Steps count from 2 of 255 on; below are
compression and rounding. The worse axis counts, so that motion blur
shows. Noise is sharp by this measure.
"""

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from pipeline.imaging import Canonical

VERSION = 1
ADDS = pa.schema(
    [
        pa.field(
            "sharpness__score",
            pa.float32(),
            metadata={b"description": b"sharpness at 512 px, 0 (blurred, or no edge at all) to 1 (ideal edges)"},
        )
    ]
)

_SCALE = 16
"""Luma is held in sixteenths of a level: whole numbers are twice as fast as floats, and this fine they lose nothing."""
_FLOOR = 2 * _SCALE
_FEW = 0.01
"""An axis with less than this share of the other's steps (squared) has no edges to judge by."""


class Params(BaseModel, frozen=True, extra="forbid"):
    """How the picture is blurred once more."""

    window: int = Field(11, ge=3, le=31, description="width of the box that blurs, px of the proxy, 3 to 31")


def measure(picture: Canonical, params: Params) -> dict[str, float]:
    """The score of the worse axis; 0 where there is no edge."""
    luma = cv2.cvtColor(picture.proxy, cv2.COLOR_RGB2GRAY).astype(np.int16) * np.int16(_SCALE)
    across = cv2.blur(luma, (params.window, 1), borderType=cv2.BORDER_REPLICATE)
    down = cv2.blur(luma, (1, params.window), borderType=cv2.BORDER_REPLICATE)
    axes = [
        _axis(cv2.absdiff(luma[:, 1:], luma[:, :-1]), cv2.absdiff(across[:, 1:], across[:, :-1])),
        _axis(cv2.absdiff(luma[1:], luma[:-1]), cv2.absdiff(down[1:], down[:-1])),
    ]
    most = max(energy for energy, _ in axes)
    scores = [lost / energy for energy, lost in axes if energy > _FEW * most]
    return {"sharpness__score": min(1.0, min(scores, default=0.0) / (1 - 1 / params.window))}


def _axis(before: NDArray[np.int16] | None, after: NDArray[np.int16] | None) -> tuple[float, float]:
    """Energy of the steps along an axis, and how much of it one more blur takes away: sum(D * D), sum(D * lost)."""
    if before is None or after is None:  # OpenCV's empty array: one pixel has no neighbour
        return 0.0, 0.0
    _, steps = cv2.threshold(before - np.int16(_FLOOR), 0, 0, cv2.THRESH_TOZERO)
    _, lost = cv2.threshold(cv2.subtract(steps, after), 0, 0, cv2.THRESH_TOZERO)
    energy = cv2.norm(steps, cv2.NORM_L2SQR)
    # 2ab = a^2 + b^2 - (a - b)^2
    return energy, (energy + cv2.norm(lost, cv2.NORM_L2SQR) - cv2.norm(steps, lost, cv2.NORM_L2SQR)) / 2
