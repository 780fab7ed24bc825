"""Whether something see-through is laid over a picture: a stock agency's word, a logo, a pattern of names.

White laid over with opacity a turns a pixel v into v + a (255 - v), black turns it into v (1 - a): at every edge of a
mark, on whatever ground, the three channels tell the same a. The edges of a scene tell all kinds. So pairs of pixels
are taken from either side of sharp edges between plain places; those whose channels agree on an opacity are counted
by it, and a peak above its surroundings, from grounds of more than one shade, is a mark. Its form plays no part: turned
and tiled marks show as well. Every eighth line of the proxy is looked at, along the line alone.

A mark on a ground of one shade, or in a colour, is not told from a thing in the scene.
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
            "watermark__strength",
            pa.float32(),
            metadata={
                b"description": b"edges that agree on one opacity, beyond what is about it, in standard deviations; "
                b"0 (none) and up, above 6 a mark is likely"
            },
        ),
        pa.field(
            "watermark__opacity",
            pa.float32(),
            metadata={b"description": b"the opacity that most edges agree on, 0 (none is found) to 1"},
        ),
    ]
)
LIMITS = {"watermark__strength": {"max": 6}}

_ACROSS = 3
"""Pixels from one side of an edge to the other."""
_PLAIN, _STEP = 6, 12
"""Levels of luma that the sides may vary by, and that they are apart at least."""
_AGREE = 0.05
"""Largest difference between the opacities that the channels tell."""
_ROOM = 25
"""Levels of room to white or black that a channel needs to tell an opacity."""
_BINS = 50
_NEAR = 6
"""Bins from a peak to the farthest that it is held against; those beside it belong to it."""
_FEW = 16
"""Edges that agree on some opacity, below which nothing can be said."""
_TRIES = 3
"""Peaks that are looked at, the highest first."""


class Params(BaseModel, frozen=True, extra="forbid"):
    """Which opacities a mark may have, and on how varied a ground."""

    least: float = Field(0.16, ge=0.05, le=1, description="least opacity; below are textures and shading, 0.05 to 1")
    most: float = Field(0.62, ge=0.05, le=1, description="largest opacity; above it is text, 0.05 to 1")
    spread: float = Field(
        2.5, ge=0, le=128, description="least standard deviation of the ground under the edges, levels of 255, 0 to 128"
    )


def measure(picture: Canonical, params: Params) -> dict[str, float]:
    """Strength and opacity of the plainer of a white and a black mark."""
    darker, lighter = _sides(picture)
    found = max(_peak(255 - darker, 255 - lighter, params), _peak(lighter, darker, params))
    return {"watermark__strength": found[0], "watermark__opacity": found[1]}


def _sides(picture: Canonical) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Red, green and blue (3 x N) of the darker and the lighter side of sharp edges between plain places.

    Of edges alone whose one side is darker in every channel.
    """
    luma, far = np.ascontiguousarray(picture.luma[::8]), _ACROSS + 1
    if luma.shape[1] < far + 2:
        return np.empty((3, 0), np.float32), np.empty((3, 0), np.float32)
    plain = cv2.absdiff(luma[:, 1:], luma[:, :-1]) <= _PLAIN
    step = cv2.absdiff(luma[:, far:-1], luma[:, 1:-far]) >= _STEP
    row, column = np.nonzero(step & plain[:, : step.shape[1]] & plain[:, far:])
    one, other = (
        np.ascontiguousarray(picture.lines[row, place, :3].T, np.float32) for place in (column + 1, column + far)
    )
    darker, lighter = np.minimum(one, other), np.maximum(one, other)
    whole = (darker < lighter).all(axis=0) & ((darker == one).all(axis=0) | (darker == other).all(axis=0))
    return darker.compress(whole, axis=1), lighter.compress(whole, axis=1)


def _peak(ground: NDArray[np.float32], mark: NDArray[np.float32], params: Params) -> tuple[float, float]:
    """How far the most agreed opacity rises over those near it, and which it is; levels are those from the mark's."""
    room = ground.min(axis=0) > _ROOM
    ground = ground.compress(room, axis=1)
    opacity = 1 - mark.compress(room, axis=1) / ground
    agreed = opacity.max(axis=0) - opacity.min(axis=0) < _AGREE
    opacity, under = opacity[1, agreed], ground[1, agreed]
    if len(opacity) < _FEW:
        return 0.0, 0.0
    bins = (opacity * _BINS).astype(np.int64)
    counts = np.bincount(bins, minlength=_BINS)[:_BINS]
    pairs = counts[1:] + counts[:-1]  # a peak may lie between two bins
    sums = np.convolve(np.pad(pairs, _NEAR), np.ones(_NEAR - 1), "valid") / (_NEAR - 1)
    about = np.maximum(sums[: len(pairs)], sums[_NEAR + 2 :][: len(pairs)])
    rise = (pairs - about) / np.sqrt(about + 4)
    first, last = int(params.least * _BINS), int(params.most * _BINS)
    for place in np.argsort(-rise[first:last])[:_TRIES] + first:
        inside = (bins == place) | (bins == place + 1)
        if rise[place] > 0 and under[inside].std() >= params.spread:
            return float(rise[place]), float((place + 1) / _BINS)
    return 0.0, 0.0
