"""How much of a picture is lettering laid over it: captions, prices, memes, posters, screenshots.

Letters are strokes: short, of one flat colour, with a sharp edge to either side, and many of the same colour beside
each other, on line after line. So every eighth line of the proxy is cut into flat runs; a run that is short and
stands out from both its sides to the same side is a stroke. A line with several strokes of one colour, with more such
lines about it, belongs to a line of text, from the first stroke to the last.

Lettering in strokes thinner than 3 px of the proxy (letters under a twenty-fifth of its side) is not seen, nor is
writing in a photograph whose ink takes the light of the scene. A fence of one colour before a plain wall passes as
lettering.
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
            "text__coverage",
            pa.float32(),
            metadata={b"description": b"share of the picture that lines of lettering over it take, 0 (none) to 1"},
        )
    ]
)
LIMITS = {"text__coverage": {"max": 0.03}}

_FLAT = 8
"""Levels, a power of two, below which neighbours within a stroke differ in every channel."""
_NOT_FLAT = 0x01010101 * (256 - _FLAT)
"""The bits of a word of four channels that are set where one of them is not below."""
_SHORTEST, _LONGEST = 3, 33
"""Pixels of a stroke's flat part."""
_BESIDE = 3
"""Pixels from the end of the flat part to what lies beside the stroke."""
_LINES = 2
"""Lines in a row that have as many strokes: letters are higher than wide."""


class Params(BaseModel, frozen=True, extra="forbid"):
    """What counts as lettering."""

    contrast: int = Field(32, ge=8, le=255, description="levels by which a stroke stands out from both sides, 8 to 255")
    strokes: int = Field(5, ge=2, le=50, description="strokes of one colour that make a line of text, 2 to 50")


def measure(picture: Canonical, params: Params) -> dict[str, float]:
    """The share of the looked-at lines' pixels from the first stroke of a colour to its last."""
    high, wide = picture.lines.shape[:2]
    if wide < 4 * _BESIDE or high < _LINES:
        return {"text__coverage": 0.0}
    row, first, last, color = _strokes(picture.lines, params.contrast)
    if len(row) < params.strokes * _LINES:
        return {"text__coverage": 0.0}
    kinds, place, counts = np.unique(color * (high + 1) + row, return_inverse=True, return_counts=True)
    left, right = np.full(len(kinds), wide), np.zeros(len(kinds), np.int64)
    np.minimum.at(left, place, first)
    np.maximum.at(right, place, last + 1)
    many = counts >= params.strokes
    spans = dict(zip(kinds[many].tolist(), (right - left)[many].tolist(), strict=True))
    return {"text__coverage": _covered(spans, high + 1) / (high * wide)}


def _strokes(lines: NDArray[np.uint8], contrast: int) -> tuple[NDArray[np.int64], ...]:
    """Line, first and last pixel and colour (4 bits a channel) of every stroke."""
    high, wide = lines.shape[:2]
    steps = cv2.absdiff(lines[:, 1:], lines[:, :-1]).view(np.uint32)[..., 0]
    flat = np.zeros((high, wide + 1), bool)
    np.equal(steps & _NOT_FLAT, 0, out=flat[:, 1:-1])
    runs = flat.ravel()
    changes = np.flatnonzero(runs[1:] != runs[:-1])  # every line begins and ends without, so they come in pairs
    size = changes[1::2] - changes[::2] + 1
    right = (size >= _SHORTEST) & (size <= _LONGEST)
    row, first = np.divmod(changes[::2][right], wide + 1)
    last = first + size[right] - 1
    keep = (first >= _BESIDE) & (last < wide - _BESIDE)
    row, first, last = row[keep], first[keep], last[keep]
    words, start = lines.view(np.uint32).ravel(), row * wide  # to take a word is quicker than to take its four bytes
    inside, before, after = (
        words.take(start + place).view(np.uint8).reshape(-1, 4).astype(np.int16)
        for place in ((first + last) // 2, first - _BESIDE, last + _BESIDE)
    )
    brighter, darker = inside - np.maximum(before, after), np.minimum(before, after) - inside
    apart = (np.maximum(brighter, darker) >= contrast).any(axis=1)
    levels = inside[apart].astype(np.int64) >> 4
    return row[apart], first[apart], last[apart], levels[:, 0] * 256 + levels[:, 1] * 16 + levels[:, 2]


def _covered(spans: dict[int, int], lines: int) -> int:
    """Pixels of all spans whose colour is on enough lines in a row; of several on one line the longest counts.

    Spans are named by colour x lines + line.
    """
    best: dict[int, int] = {}
    for kind, span in spans.items():
        if any(all(kind + at + one in spans for one in range(_LINES)) for at in range(1 - _LINES, 1)):
            best[kind % lines] = max(best.get(kind % lines, 0), span)
    return sum(best.values())
