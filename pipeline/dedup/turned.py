"""Mirrored and turned copies: the perceptual hash of a picture in the seven other ways in which it may lie.

A copy that lies differently has another hash, so each picture as it lies is held against the others in every way that
the recipe asks for. All seven are measured once any is asked for, so that to ask for more compares but measures
nothing again.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel

from pipeline.dedup import edges, perceptual
from pipeline.dedup.links import Linked, bits
from pipeline.duplicates import Near
from pipeline.imaging import Canonical

VERSION = 1
Plane = NDArray[Any]


class Way(NamedTuple):
    """One way in which a copy may lie."""

    told: str
    """What the ledger calls it; which of the two is turned to which side nobody can tell."""
    lay: Callable[[Plane], Plane]
    """Lays a plane so."""
    flip: bool
    """Whether it takes a mirror."""
    rotation: bool
    """Whether it takes a turn."""


WAYS = (
    Way("mirrored", np.fliplr, flip=True, rotation=False),
    Way("mirrored upside down", np.flipud, flip=True, rotation=False),
    Way("turned by a half", lambda plane: np.rot90(plane, 2), flip=False, rotation=True),
    Way("turned by a quarter", np.rot90, flip=False, rotation=True),
    Way("turned by a quarter", lambda plane: np.rot90(plane, 3), flip=False, rotation=True),
    Way("mirrored and turned by a quarter", lambda plane: np.rot90(np.fliplr(plane)), flip=True, rotation=True),
    Way("mirrored and turned by a quarter", lambda plane: np.rot90(np.fliplr(plane), 3), flip=True, rotation=True),
)
"""In the order of the column."""
ADDS = pa.schema(
    [
        pa.field(
            "turned__hashes",
            pa.list_(pa.uint64()),
            metadata={b"description": b"DCT hashes of the luma mirrored and turned in seven ways, 64 bits each"},
        )
    ]
)
Candidates = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]
_NOTHING: Candidates = (*(np.empty(0, np.int64),) * 3, np.empty(0, np.uint8))
_QUARTERS = np.arange(4).reshape(2, 2)
_COLOUR_BITS = np.uint64(15)
"""Of a quarter's mean colour in `perceptual__colors`."""


class Params(BaseModel, frozen=True, extra="forbid"):
    """None: which ways count is the recipe's choice, and measures nothing again."""


def measure(picture: Canonical, params: Params) -> dict[str, list[int]]:  # noqa: ARG001 - every measurer's signature
    """The hash in each of WAYS."""
    small = perceptual.shrunk(picture.luma)
    return {"turned__hashes": [perceptual.hash_of(way.lay(small)) for way in WAYS]}


def asked(near: Near | None) -> list[int]:
    """Places in WAYS of those in which copies are looked for."""
    if near is None:
        return []
    return [place for place, way in enumerate(WAYS) if way.flip <= near.flips and way.rotation <= near.rotations]


def pairs(
    names: Sequence[str],
    hashes: NDArray[np.uint64],
    turned: NDArray[np.uint64],
    colours: NDArray[np.uint64],
    near: Near,
    *,
    threads: int = 2,
) -> Iterator[Linked]:
    """Pictures that look alike if one of them is laid in a way that is asked for; each pair once, the closest way.

    Args:
        names: pixel ids, N.
        hashes: of the pictures as they lie, N.
        turned: in each of WAYS, N x 7.
        colours: `perceptual__colors` as they lie, N.
        near: the distances that count, and which ways.
        threads: how many at most.
    """
    ways = asked(near)
    if not ways or not names:
        return
    laid = np.stack([colours_laid(colours, WAYS[way]) for way in ways])
    found = [_NOTHING, *_candidates(hashes, turned[:, ways].T, near.distance, threads=threads)]
    upright, other, way, distance = (np.concatenate(part) for part in zip(*found, strict=True))
    like = perceptual.colour_distance(colours[upright], laid[way, other]) <= near.colour
    upright, other, way, distance = upright[like], other[like], way[like], distance[like]
    first, second = np.minimum(upright, other), np.maximum(upright, other)
    order = np.lexsort((way, distance))  # the closest first, of which `unique` takes the first
    _, once = np.unique(first[order] * len(names) + second[order], return_index=True)
    for place in order[once].tolist():
        a, b = sorted((names[first[place]], names[second[place]]))
        reason = f"looks alike, {WAYS[ways[way[place]]].told}"
        yield a, b, bits(int(distance[place]), near.distance, reason, level=1)


def toward(target: int, hashes: Sequence[int], near: Near | None) -> int:
    """Of a picture's hashes in WAYS, the one closest to `target` of those that are asked for."""
    return min((hashes[place] for place in asked(near)), key=lambda one: (one ^ target).bit_count())


def colours_laid(colours: NDArray[np.uint64], way: Way) -> NDArray[np.uint64]:
    """Mean colours of the quarters (`perceptual__colors`) of pictures that are laid in one of WAYS."""
    laid = np.zeros_like(colours)
    for place, quarter in enumerate(way.lay(_QUARTERS).ravel().tolist()):
        here = colours >> (_COLOUR_BITS * np.uint64(quarter)) & np.uint64(2**15 - 1)
        laid |= here << (_COLOUR_BITS * np.uint64(place))
    return laid


def _candidates(
    hashes: NDArray[np.uint64], turned: NDArray[np.uint64], limit: int, *, threads: int
) -> Iterator[Candidates]:
    """Places of a picture as it lies and of another one, the row of `turned` that is close to it, and the bits."""
    count = len(hashes)
    upright_ones = np.arange(count + turned.size) < count
    for batch in edges.close(np.concatenate([hashes, turned.ravel()]), upright_ones, limit, threads):
        upright, laid = (pick(batch.first, batch.second).astype(np.int64) for pick in (np.minimum, np.maximum))
        way, other = np.divmod(laid - count, count)
        mine = (upright < count) & (laid >= count) & (other != upright)
        yield upright[mine], other[mine], way[mine], batch.distance[mine]
