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
    """How a picture comes into its bucket: cut to the bucket's aspect around the middle, then resized. All in pixels.

    Cut first, so that a strip of 1 x 20000 is never blown up to 5 million rows. The cut is in whole pixels of the
    picture, which stretches it by at most half a pixel of them.
    """

    width: int
    height: int
    """The bucket's."""
    left: int
    top: int
    cut_width: int
    cut_height: int
    """The part of the picture that fills the bucket, in the picture's own pixels."""
    lost: float
    """Share of the picture outside that part, 0 to 1."""


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
    cut_width = max(1, min(width, round(height * best[0] / best[1])))
    cut_height = max(1, min(height, round(width * best[1] / best[0])))
    return Placement(
        *best,
        left=(width - cut_width) // 2,
        top=(height - cut_height) // 2,
        cut_width=cut_width,
        cut_height=cut_height,
        lost=1 - cut_width * cut_height / (width * height),
    )


def fit(pixels: NDArray[np.uint8], placement: Placement) -> NDArray[np.uint8]:
    """Cut and resize H x W x 3 pixels to their bucket; area averaging when shrinking, cubic when enlarging."""
    bottom, right = placement.top + placement.cut_height, placement.left + placement.cut_width
    cut = pixels[placement.top : bottom, placement.left : right]
    shrinking = placement.width * placement.height < placement.cut_width * placement.cut_height
    how = cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC
    return np.ascontiguousarray(cv2.resize(cut, (placement.width, placement.height), interpolation=how), np.uint8)
