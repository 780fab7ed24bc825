"""A decoded picture, and what several measurers read of it: each is worked out once, when the first one asks."""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

PROXY_SIDE = 512
"""Longest side of the proxy, in pixels."""

CROP_SIDE = 128
"""Side of the crops that show what a smaller picture cannot, in pixels."""

Pixels = NDArray[np.uint8]
"""A picture: height x width x 3, RGB, 0 to 255."""


@dataclass(frozen=True, eq=False)
class Canonical:
    """A decoded picture. Both arrays are read-only, since everyone shares them; copy before drawing on them."""

    pixels: Pixels
    """height x width x 3, sRGB, upright."""
    proxy: Pixels
    """The same picture with its longest side at most `PROXY_SIDE`, by area averaging; never enlarged."""
    pixel_id: str
    """BLAKE3 (hex) of version, shape and pixels: equal for files that differ in metadata or lossless format only."""
    format: str
    """JPEG, PNG, WEBP, BMP, GIF or TIFF: by content, never by name."""
    width: int
    height: int
    notes: tuple[str, ...]
    """What had to be done or is odd, one short sentence each; empty for a plain sRGB picture."""

    @cached_property
    def luma(self) -> NDArray[np.uint8]:
        """Luma (Rec. 601) of the proxy, height x width, 0 to 255: computed once for all who read it; read-only."""
        luma = np.asarray(cv2.cvtColor(self.proxy, cv2.COLOR_RGB2GRAY), np.uint8)
        luma.flags.writeable = False
        return luma

    @cached_property
    def histogram(self) -> NDArray[np.float32]:
        """How many pixels of `luma` have each of the 256 levels, every second row of 128 or more; read-only."""
        rows = self.luma[:: 1 if len(self.luma) < 128 else 2]
        counts = np.asarray(cv2.calcHist([rows], [0], None, [256], [0, 256]).ravel(), np.float32)
        counts.flags.writeable = False
        return counts

    @cached_property
    def lines(self) -> NDArray[np.uint8]:
        """Every eighth row of the proxy with a fourth channel of 255, so that a pixel is one 32-bit word; read-only."""
        lines = np.asarray(cv2.cvtColor(self.proxy[::8], cv2.COLOR_RGB2RGBA), np.uint8)
        lines.flags.writeable = False
        return lines

    @cached_property
    def dots(self) -> Pixels:
        """Every fourth pixel of every eighth row of the proxy: enough for what asks for no place; read-only."""
        dots = np.ascontiguousarray(self.proxy[::8, ::4])
        dots.flags.writeable = False
        return dots

    @cached_property
    def levels(self) -> NDArray[np.float64]:
        """Of red, green and blue of `dots`, the share of pixels of at most each level, 3 x 256, 0 to 1; read-only."""
        counts = [cv2.calcHist([self.dots], [channel], None, [256], [0, 256]).ravel() for channel in range(3)]
        levels = np.cumsum(counts, axis=1, dtype=np.float64)
        levels /= levels[:, -1:]
        levels.flags.writeable = False
        return levels

    @cached_property
    def crops(self) -> NDArray[np.uint8]:
        """Luma of up to nine crops of the full pixels, count x height x width; read-only.

        Spread evenly, 128 px a side where there is room. They begin at multiples of 8 pixels from the upper left, so
        that a JPEG's blocks lie alike in all of them.
        """
        (rows, high), (columns, wide) = (_starts(side) for side in self.pixels.shape[:2])
        parts = [self.pixels[top : top + high, left : left + wide] for top in rows for left in columns]
        crops = np.empty((len(parts), high, wide), np.uint8)
        for crop, part in zip(crops, parts, strict=True):
            cv2.cvtColor(part, cv2.COLOR_RGB2GRAY, crop)
        crops.flags.writeable = False
        return crops


def _starts(side: int) -> tuple[list[int], int]:
    """Where crops begin along a side, three or fewer where they would overlap, and how long they are."""
    count, length = max(1, min(3, side // CROP_SIDE)), min(side, CROP_SIDE)
    return [int(place) // 8 * 8 for place in np.linspace(0, side - length, count)], length
