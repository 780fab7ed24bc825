"""How much of a picture is bars or a frame around it: letterboxes, scans on a table, pictures framed by an app.

A bar is a run of lines of one shade from the edge inwards, and ends at a step across most of its length. Plain ground
around a subject, or a pattern of stripes, is no bar: bars come in opposite pairs of one shade, and they are nearly
black or nearly white, or what they enclose is not of one shade itself. A thing with straight sides on white, across
most of the picture, cannot be told from a picture in a frame. Measured on the proxy.
"""

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from pipeline.imaging import Canonical, Pixels

VERSION = 3
ADDS = pa.schema(
    [
        pa.field(
            "borders__share",
            pa.float32(),
            metadata={b"description": b"share of the picture that bars or a frame take, 0 (none) to 1"},
        )
    ]
)
LIMITS = {"borders__share": {"max": 0.02}}

_STEP = 24
"""Levels by which what lies behind a bar differs from it."""
_EXACT, _FAINT = 3, 6
"""Levels from black or white within which a bar may differ by as few levels: around a white page, a night sky."""
_ACROSS = 0.72
"""Share of the bar's length along which it differs."""
_SHARP = 2
"""Lines within which the step is done: the edge of a bar is straight, that of a turned square is not."""
_SPECKS = 0.02
"""Share of a bar's line that may be of another shade."""
_PURE = 20
"""Levels from black or white within which a bar needs no structure behind it."""
_SOFT = 16
"""Lines at the end of a bar that compression may blur: the side of a JPEG block of halved colour."""


class Params(BaseModel, frozen=True, extra="forbid"):
    """What counts as one shade."""

    tolerance: int = Field(10, ge=0, le=64, description="levels of 255 by which a bar's pixels may differ, 0 to 64")


def measure(picture: Canonical, params: Params) -> dict[str, float]:
    """The share of the pixels that lie in bars: first above and below, then to the left and right of what is left."""
    whole = picture.proxy
    inner = _without(whole, params.tolerance)
    inner = _without(inner.transpose(1, 0, 2), params.tolerance).transpose(1, 0, 2)
    return {"borders__share": 1 - inner[..., 0].size / whole[..., 0].size}


def _without(pixels: Pixels, tolerance: int) -> Pixels:
    """The picture without a pair of bars above and below."""
    if np.abs(_shade(pixels[0]) - _shade(pixels[-1])).max() > tolerance:
        return pixels
    top = _bar(pixels, tolerance)
    bottom = _bar(pixels[::-1], tolerance) if top else 0
    if not bottom or top + bottom >= len(pixels):
        return pixels
    return pixels[top : len(pixels) - bottom]


def _bar(pixels: Pixels, tolerance: int) -> int:
    """Lines that the bar at the top takes, 0 where there is none."""
    shade = _shade(pixels[0])
    if (np.abs(pixels[0] - shade).max(axis=1) > tolerance).mean() > _SPECKS:
        return 0
    half = np.ascontiguousarray(pixels[: len(pixels) // 2])
    if not half.size:
        return 0
    red, green, blue = cv2.split(cv2.absdiff(half, np.array([*np.floor(shade), 0], np.float64)))
    apart = cv2.max(cv2.max(red, green), blue)
    mixed = (apart > tolerance).mean(axis=1) > _SPECKS
    height = _end(apart, mixed, _STEP)
    if not height and (shade.max() <= _EXACT or shade.min() >= 255 - _EXACT):
        height = _end(apart, mixed, _FAINT)
    pure = shade.max() <= _PURE or shade.min() >= 255 - _PURE
    return height if pure or (height and pixels[height].std(axis=0).max() > tolerance) else 0


def _end(apart: NDArray[np.uint8], mixed: NDArray[np.bool_], step: int) -> int:
    """The line at which a bar ends at a straight step of so many levels, 0 where it does not."""
    other = (apart > step).mean(axis=1)
    if not other.max(initial=0) >= _ACROSS:
        return 0
    height = int((other >= _ACROSS).argmax())
    return 0 if height - mixed.argmax() > _SOFT or other[max(0, height - _SHARP)] > _ACROSS / 3 else height


def _shade(line: Pixels) -> NDArray[np.float64]:
    return np.asarray(np.median(line, axis=0), np.float64)
