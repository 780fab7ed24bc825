"""Whether something see-through is laid over a picture: a stock agency's word, a logo, a pattern of names.

White laid over with opacity a turns a pixel v into v + a (255 - v), black turns it into v (1 - a): at every edge of a
mark, on whatever ground, the three channels tell the same a. The edges of a scene tell all kinds. So pairs of pixels
are taken from either side of sharp edges between plain places; those whose channels agree on an opacity are counted
by it, and a peak above its surroundings, from grounds of more than one shade, may be a mark. A shadow does the same, so
strokes count beside edges: two edges in a row, into the mark and out of it, that tell one opacity. Turned and tiled
marks show as well. Every eighth line of the proxy is looked at, along the line alone.

Steps below a least one are not looked at, so on a bright wall small opacities of white seem to be missing, and its
grain would peak where they begin. A peak therefore counts those edges alone that could have told less.

A mark on a ground of one shade, or in a colour, is not told from a thing in the scene. On grass, gravel or fur its
edges are seldom clean enough.
"""

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from pipeline.imaging import Canonical

VERSION = 3
ADDS = pa.schema(
    [
        pa.field(
            "watermark__strength",
            pa.float32(),
            metadata={
                b"description": b"edges and strokes that agree on one opacity, beyond what is about it, in standard "
                b"deviations; 0 (none) and up, above 6 a mark is likely"
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
_PLAIN, _STEP = 6, 10
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
_LESS = 4
"""Bins from a peak to the opacity that its edges must be able to tell as well."""
_SOME = 2
"""Strokes that agree, below which there is no mark."""
_WIDE = 40
"""Pixels of a stroke at most."""
_STROKE_AGREES = 0.08
"""Largest difference between the opacities that both edges of a stroke and the channels tell."""
_EDGES, _STROKES = 1.5, 3.0
"""What a standard deviation of edges is worth, and at most how often that of their strokes."""

Sides = NDArray[np.float32]
"""Red, green and blue of one side of N edges, 3 x N."""


class Params(BaseModel, frozen=True, extra="forbid"):
    """Which opacities a mark may have, and on how varied a ground."""

    least: float = Field(0.16, ge=0.05, le=1, description="least opacity; below are textures and shading, 0.05 to 1")
    most: float = Field(0.62, ge=0.05, le=1, description="largest opacity; above it is text, 0.05 to 1")
    spread: float = Field(
        1, ge=0, le=128, description="least standard deviation of the ground under the edges, levels of 255, 0 to 128"
    )


def measure(picture: Canonical, params: Params) -> dict[str, float]:
    """Strength and opacity of the plainer of a white and a black mark."""
    place, left, right = _edges(picture)
    lighter = left[1] < right[1]  # to the right of the edge
    found = (0.0, 0.0)
    if len(lighter) >= _FEW:
        first = np.flatnonzero((lighter[1:] != lighter[:-1]) & (np.diff(place) <= _WIDE))
        dark, light = np.minimum(left, right), np.maximum(left, right)
        white = _peak(255 - dark, 255 - light, first[lighter[first]], params)
        found = max(white, _peak(light, dark, first[~lighter[first]], params))
    return {"watermark__strength": found[0], "watermark__opacity": found[1]}


def _edges(picture: Canonical) -> tuple[NDArray[np.int64], Sides, Sides]:
    """Place, counted on from line to line, and both sides of sharp edges between plain places, from left to right.

    Of edges alone whose one side is darker in every channel.
    """
    luma, far = np.ascontiguousarray(picture.luma[::8]), _ACROSS + 1
    if luma.shape[1] < far + 2:
        return np.empty(0, np.int64), np.empty((3, 0), np.float32), np.empty((3, 0), np.float32)
    plain = cv2.absdiff(luma[:, 1:], luma[:, :-1]) <= _PLAIN
    step = cv2.absdiff(luma[:, far:-1], luma[:, 1:-far]) >= _STEP
    row, column = np.divmod(np.flatnonzero(step & plain[:, : step.shape[1]] & plain[:, far:]), step.shape[1])
    words, start = picture.lines.view(np.uint32).ravel(), row * luma.shape[1] + column
    left, right = (
        np.ascontiguousarray(words.take(start + place).view(np.uint8).reshape(-1, 4)[:, :3].T, np.float32)
        for place in (1, far)
    )
    rises = left < right
    whole = (rises[0] == rises[1]) & (rises[1] == rises[2]) & (left != right).all(axis=0)
    place = (row * (luma.shape[1] + _WIDE) + column)[whole]
    return place, left.compress(whole, axis=1), right.compress(whole, axis=1)


def _peak(ground: Sides, mark: Sides, first: NDArray[np.int64], params: Params) -> tuple[float, float]:
    """Strength of the most agreed opacity and which it is; levels are those from the mark's.

    `first` are those edges that begin a stroke of the mark with the next one.
    """
    room = ground.min(axis=0)
    opacity = 1 - mark / np.maximum(ground, 1)
    high, low = opacity.max(axis=0), opacity.min(axis=0)
    agreed = (room > _ROOM) & (high - low < _AGREE)
    if np.count_nonzero(agreed) < _FEW:
        return 0.0, 0.0
    if len(first) < _SOME:
        return 0.0, 0.0
    apart = np.maximum(high[first], high[first + 1]) - np.minimum(low[first], low[first + 1])
    least = np.minimum(room[first], room[first + 1])
    both = (least > _ROOM) & (apart < _STROKE_AGREES)
    first, least = first[both], least[both]
    middle = (opacity[:, first] + opacity[:, first + 1]).mean(axis=0) / 2
    if len(first) < _SOME:
        return 0.0, 0.0
    strokes = _Told(middle, (ground[1, first] + ground[1, first + 1]) / 2, least)
    edges = _Told(opacity[1, agreed], ground[1, agreed], room[agreed])
    best = 0.0, 0.0
    for place in sorted({*edges.highest(params), *strokes.highest(params)}):
        if strokes.at(place) >= _SOME and max(edges.spread(place), strokes.spread(place)) >= params.spread:
            of_strokes = strokes.rise(place)
            strength = max(of_strokes, min(_EDGES * edges.rise(place), _STROKES * of_strokes))
            best = max(best, (strength, (place + 1) / _BINS))
    return best


class _Told:
    """Opacities that edges tell, with the ground's level under each and the room that it leaves to the mark."""

    def __init__(self, opacity: NDArray[np.float32], under: NDArray[np.float32], room: NDArray[np.float32]) -> None:
        self.bins, self.under, self.room = (opacity * _BINS).astype(np.int64), under, room

    def highest(self, params: Params) -> list[int]:
        """The lower bins of the most agreed opacities."""
        first, last = int(params.least * _BINS), int(params.most * _BINS)
        rises = _rises(self.bins)[first:last]
        return [int(place) + first for place in np.argsort(-rises)[:_TRIES] if rises[place] > 0]

    def at(self, place: int) -> int:
        """How many there are at a peak."""
        return int(np.count_nonzero((self.bins == place) | (self.bins == place + 1)))

    def spread(self, place: int) -> float:
        """Standard deviation of the ground under those at a peak."""
        inside = self.under[(self.bins == place) | (self.bins == place + 1)]
        return float(inside.std()) if len(inside) else 0.0

    def rise(self, place: int) -> float:
        """How far a peak rises over what is about it, of those that could have told less."""
        able = self.room * (place + 1 - _LESS) >= _STEP * _BINS
        return max(0.0, float(_rises(self.bins[able])[place]))


def _rises(bins: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of each two bins beside each other, how far they rise over those near them, in standard deviations."""
    counts = np.bincount(bins, minlength=_BINS)[:_BINS]
    pairs = counts[1:] + counts[:-1]  # a peak may lie between two bins
    below = np.zeros(len(pairs) + 2 * _NEAR + 1)  # np.pad and np.convolve would take ten times as long
    np.cumsum(pairs, out=below[_NEAR + 1 : -_NEAR])
    below[-_NEAR:] = below[-_NEAR - 1]
    near = (below[_NEAR - 1 :] - below[: 1 - _NEAR]) / (_NEAR - 1)
    about = np.maximum(near[: len(pairs)], near[_NEAR + 2 :][: len(pairs)])
    return np.asarray((pairs - about) / np.sqrt(about + 4))
