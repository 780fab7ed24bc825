"""How much a picture shows the 8 x 8 blocks of a JPEG that was compressed too far, measured at full size.

After Wang, Sheikh and Bovik, "No-reference perceptual quality assessment of JPEG compressed images" (ICIP 2002): steps
between neighbours are larger across the edges of blocks than within them. For each of the eight places that the grid
may have, the mean step there, beyond what can be seen, is held against that at the other places,

    score = (largest - median of the eight) / (median of the eight + 0.1)

for the axis that shows less of it. A picture that was made smaller or larger afterwards shows blocks of another size,
which are not looked for.
"""

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel

from pipeline.imaging import Canonical

VERSION = 2
ADDS = pa.schema(
    [
        pa.field(
            "blockiness__score",
            pa.float32(),
            metadata={
                b"description": b"steps across the edges of 8 x 8 blocks beyond those within, in units of the latter, "
                b"0 (none) and up; above 0.8 the blocks are plain to see"
            },
        )
    ]
)
LIMITS = {"blockiness__score": {"max": 0.8}}

_BLOCK = 8
_FLOOR = 3.0
"""Levels of a step that nobody sees: moderate compression leaves as much all over a smooth ground."""
_LEAST = 0.1
"""Levels, so that what cannot be seen on a plain picture counts for little."""


class Params(BaseModel, frozen=True, extra="forbid"):
    """None."""


def measure(picture: Canonical, params: Params) -> dict[str, float]:  # noqa: ARG001 - every scorer's signature
    """The score of the axis that shows less; 0 where a side is shorter than three blocks."""
    if min(picture.pixels.shape[:2]) < 3 * _BLOCK:
        return {"blockiness__score": 0.0}
    count, high, wide = picture.crops.shape
    rows = picture.crops.reshape(-1, wide)
    across = cv2.reduce(_steps(rows[:, 1:], rows[:, :-1]), 0, cv2.REDUCE_AVG, dtype=cv2.CV_32F).ravel()
    down = np.zeros(count * high, np.float32)  # the last of each crop is a step to the next one, and left out
    down[:-1] = cv2.reduce(_steps(rows[1:], rows[:-1]), 1, cv2.REDUCE_AVG, dtype=cv2.CV_32F).ravel()
    return {"blockiness__score": min(_score(across[None]), _score(down.reshape(count, high)[:, :-1]))}


def _steps(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """How far neighbours are apart beyond the floor."""
    return np.asarray(cv2.subtract(cv2.absdiff(one, other), _FLOOR), np.uint8)


def _score(steps: NDArray[np.float32]) -> float:
    """Of the mean steps along an axis, crops x places."""
    whole = steps.shape[1] // _BLOCK * _BLOCK
    mean = np.sort(steps[:, :whole].reshape(-1, _BLOCK).mean(axis=0, dtype=np.float64))
    usual = (mean[_BLOCK // 2 - 1] + mean[_BLOCK // 2]) / 2
    return float((mean[-1] - usual) / (usual + _LEAST))
