"""How sharp the sharpest parts of a picture are, at the size of the proxy.

After Crete, Dolmiere, Ladet and Nicolas, "The blur effect" (SPIE 2007): blur the luma once more with a box of `window`
pixels; steps between neighbours shrink much where the picture was sharp and little where it was blurred already. Per
axis, with D the steps before and B those after,

    score = sum(D * max(0, D - B)) / sum(D * D) / (1 - 1 / window)

which is 1 for an ideal edge, falls towards 0 with blur, and does not change when contrast is scaled. Crete weights
steps by D; the square here lets a sharp subject stand before a blurred ground, and sharp edges on plain areas count in
full. Steps of up to 2 of 255 are compression and rounding, and left out. The worse axis counts, so that motion blur
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

_FLOOR = 2.0
_FEW = 0.01
"""An axis with less than this share of the other's steps (squared) has no edges to judge by."""


class Params(BaseModel, frozen=True, extra="forbid"):
    """How the picture is blurred once more."""

    window: int = Field(11, ge=3, le=31, description="width of the box that blurs, px of the proxy, 3 to 31")


def measure(picture: Canonical, params: Params) -> dict[str, float]:
    """The score of the worse axis; 0 where there is no edge."""
    luma = cv2.cvtColor(picture.proxy, cv2.COLOR_RGB2GRAY).astype(np.float32)
    axes = [_axis(luma, params.window), _axis(np.ascontiguousarray(luma.T), params.window)]
    most = max(energy for energy, _ in axes)
    scores = [kept / energy for energy, kept in axes if energy > _FEW * most]
    return {"sharpness__score": min(1.0, min(scores, default=0.0) / (1 - 1 / params.window))}


def _axis(luma: NDArray[np.float32], window: int) -> tuple[float, float]:
    """Energy of the steps from left to right, and how much of it one more blur takes away."""
    if luma.shape[1] < 2:
        return 0.0, 0.0
    blurred = cv2.blur(luma, (window, 1), borderType=cv2.BORDER_REPLICATE)
    steps = cv2.subtract(cv2.absdiff(luma[:, 1:], luma[:, :-1]), _FLOOR)
    steps = cv2.max(steps, 0.0)
    lost = cv2.max(cv2.subtract(steps, cv2.absdiff(blurred[:, 1:], blurred[:, :-1])), 0.0)
    return float(steps.ravel() @ steps.ravel()), float(steps.ravel() @ lost.ravel())
