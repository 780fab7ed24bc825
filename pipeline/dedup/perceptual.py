"""A 64-bit hash of what a picture looks like, and the plain search for hashes that differ in few bits.

The hash is the DCT hash that imagehash calls phash: luma shrunk to 32 x 32, the 8 x 8 lowest frequencies of its cosine
transform, one bit each for above the median; the highest bit is the lowest frequency. It is computed on the proxy with
area averaging, so that it does not depend on a library's resampling. It sees no colour: a red and a blue cup
are one to it. So the mean colours of the four quarters are kept beside it, for whoever wants to tell them apart.
"""

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from pipeline.halving import halved
from pipeline.imaging import Canonical, Pixels

VERSION = 4
ADDS = pa.schema(
    [
        pa.field("perceptual__hash", pa.uint64(), metadata={b"description": b"DCT hash of the luma, 64 bits"}),
        pa.field(
            "perceptual__colors",
            pa.uint64(),
            metadata={b"description": b"mean colours of the four quarters, 5 bits a channel; see colour_distance"},
        ),
        pa.field(
            "perceptual__flat",
            pa.bool_(),
            metadata={b"description": b"true where there is too little structure to compare: the hash means nothing"},
        ),
    ]
)

_SIDE = 32
_LOW = 8
_ENOUGH = 4 * _SIDE
_COSINES = np.sqrt(2 / _SIDE) * np.cos(np.pi / _SIDE * np.outer(np.arange(_LOW), np.arange(_SIDE) + 0.5))
_COSINES[0] /= np.sqrt(2)
"""The lowest frequencies of the orthonormal DCT-II: two small products cost a tenth of a whole transform."""
_STEP = 8
"""Levels of a mean colour's 5 bits."""
_ROWS, _COLUMNS = 32, 4096
"""New and known hashes that are compared at a time: 1 MiB of differing bits, which a core's cache holds."""
_NONE = np.empty(0, np.int64)


class Params(BaseModel, frozen=True, extra="forbid"):
    """What counts as too little structure."""

    flat_below: float = Field(
        2.0,
        ge=0,
        le=128,
        description="standard deviation of luma at 32 x 32 px below which a picture is flat, levels of 255",
    )


def measure(picture: Canonical, params: Params) -> dict[str, int | bool]:
    """The hash, and whether the picture is too flat for it: such a picture is nobody's near-duplicate."""
    return _measured(picture.luma, picture.proxy, params)


def measure_pixels(pixels: Pixels, params: Params) -> dict[str, int | bool]:
    """What `measure` gives, of pixels (height x width x 3) that are no file's: a view for training, say."""
    return _measured(np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8), pixels, params)


def _measured(luma: NDArray[np.uint8], proxy: Pixels, params: Params) -> dict[str, int | bool]:
    small = shrunk(luma)
    return {
        "perceptual__hash": hash_of(small),
        "perceptual__colors": _quarters(halved(proxy, least=_ENOUGH)),
        "perceptual__flat": bool(small.std() < params.flat_below),
    }


def shrunk(luma: NDArray[np.uint8]) -> NDArray[np.float64]:
    """What is hashed: luma at 32 x 32."""
    small = cv2.resize(halved(luma, least=_ENOUGH), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float64)


def hash_of(small: NDArray[np.float64]) -> int:
    """The hash of what `shrunk` gives."""
    low = (_COSINES @ small @ _COSINES.T).ravel()
    ranked = np.sort(low)
    bits = low > (ranked[low.size // 2 - 1] + ranked[low.size // 2]) / 2
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def neighbours(
    new: NDArray[np.uint64], known: NDArray[np.uint64], *, distance: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]:
    """All pairs of a new and a known hash that differ in at most `distance` bits; exact. `hamming.near` is for many.

    Returns:
        Index into `new`, index into `known` and Hamming distance of each pair, ordered by the two indices. Memory
        beyond the pairs found is bounded; time grows with the product of the two lengths.
    """
    mine, other, bits = [_NONE], [_NONE], [_NONE.astype(np.uint8)]
    for top in range(0, len(new), _ROWS):
        for left in range(0, len(known), _COLUMNS):
            apart = np.bitwise_count(new[top : top + _ROWS, None] ^ known[None, left : left + _COLUMNS])
            near = np.flatnonzero(apart <= distance)
            if len(near):
                row, column = np.divmod(near, apart.shape[1])
                mine.append(row + top)
                other.append(column + left)
                bits.append(apart.ravel()[near])
    found = np.concatenate(mine), np.concatenate(other), np.concatenate(bits)
    order = np.lexsort((found[1], found[0]))
    return found[0][order], found[1][order], found[2][order]


def colour_distance(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> NDArray[np.int64]:
    """How far two pictures' `perceptual__colors` are apart: the largest difference in a quarter and channel.

    Levels of 255, in steps of 8. Recompression moves it by 8 at most; a thing in another colour by 40 and more.
    """
    most = np.zeros(np.shape(one), np.int64)
    for place in range(12):  # one after the other: of all at once, many pairs would fill the memory
        here = [(np.asarray(value) >> np.uint64(5 * place) & np.uint64(31)).astype(np.int64) for value in (one, other)]
        np.maximum(most, np.abs(here[0] - here[1]), out=most)
    return most * _STEP


def _quarters(proxy: Pixels) -> int:
    """Mean of each quarter and channel, cut to 5 bits; a middle row or column of an odd size belongs to both sides."""
    upper, lower = _both_sides(len(proxy))
    left, right = _both_sides(proxy.shape[1])
    quarters = (proxy[upper, left], proxy[upper, right], proxy[lower, left], proxy[lower, right])
    means = [mean for quarter in quarters for mean in cv2.mean(quarter)[:3]]
    return sum(int(mean // _STEP) << 5 * place for place, mean in enumerate(means))


def _both_sides(length: int) -> tuple[slice, slice]:
    half = length // 2
    return slice(length - half), slice(half, None)
