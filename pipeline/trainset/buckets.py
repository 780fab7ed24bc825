"""Aspect buckets: the sizes that pictures are brought to, so that one batch holds one size."""

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.settings import Buckets


@dataclass(frozen=True)
class Placement:
    """How a picture comes into its bucket: resized to cover it, then cut around the middle. All in pixels."""

    width: int
    height: int
    resized_width: int
    resized_height: int
    left: int
    top: int

    @property
    def cut(self) -> float:
        """Share of the resized picture that lies outside the bucket, 0 to 1."""
        return 1 - self.width * self.height / (self.resized_width * self.resized_height)


@lru_cache(maxsize=16)
def sizes(buckets: Buckets) -> tuple[tuple[int, int], ...]:
    """All buckets (width, height): sides in steps, no more pixels than the square has, no more oblong than allowed.

    For each width the tallest such height, and the other way round, as NovelAI's bucketing does (Anlatan 2022,
    "NovelAI Improvements on Stable Diffusion").
    """
    side = buckets.resolution // buckets.step * buckets.step or buckets.step
    most = side * side
    found = {(side, side)}
    length = buckets.step
    while length <= side * math.sqrt(buckets.max_aspect):
        other = most // length // buckets.step * buckets.step
        if other and max(length, other) / min(length, other) <= buckets.max_aspect:
            found |= {(length, other), (other, length)}
        length += buckets.step
    return tuple(sorted(found))


def place(width: int, height: int, buckets: Buckets) -> Placement:
    """The bucket whose aspect is nearest (in log) to a picture of `width` x `height`, the largest of equals."""
    aspect = math.log(width / height)
    best = min(
        sizes(buckets), key=lambda size: (round(abs(math.log(size[0] / size[1]) - aspect), 9), -size[0] * size[1])
    )
    scale = max(best[0] / width, best[1] / height)
    resized = (max(best[0], round(width * scale)), max(best[1], round(height * scale)))
    return Placement(*best, *resized, (resized[0] - best[0]) // 2, (resized[1] - best[1]) // 2)


def fit(pixels: NDArray[np.uint8], placement: Placement) -> NDArray[np.uint8]:
    """Resize and cut H x W x 3 pixels to their bucket; area averaging when shrinking, cubic when enlarging."""
    shrinking = placement.resized_width < pixels.shape[1]
    resized = cv2.resize(
        pixels,
        (placement.resized_width, placement.resized_height),
        interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC,
    )
    cut = resized[placement.top : placement.top + placement.height, placement.left : placement.left + placement.width]
    return np.ascontiguousarray(cut, np.uint8)
