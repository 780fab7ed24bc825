"""Dense clusters of hashes, which are taken out whole before the rest is cut into chunks.

The pairs of a cluster agree in many choices of chunks, and would be met at each. A ball is all hashes within `radius`
bits of a centre. What is within `limit` bits of one of them is within `radius + limit` of the centre (the triangle
inequality), and of hashes that are elsewhere hardly any are. So its members are held against each other and against
those few, and need no chunks. Which balls are found changes the time and not the pairs.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.dedup.chunks import BITS, Hashes

FEWEST = 512
"""Members of a ball at least: of fewer, a look at all hashes (3 ms of a million) costs more than it saves."""
_BESIDE = 16
"""Hashes beside a ball for each in it, at most: a pair of members costs some fifteen times what another one does."""
_TRIED = 64
Places = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Ball:
    """Places of the hashes of a cluster, and of the others that one of them may be close to."""

    inside: Places
    beside: Places


def peeled(values: Hashes, limit: int, runs: Iterable[Hashes]) -> tuple[list[Ball], NDArray[np.bool_]]:
    """Balls of at least FEWEST hashes among `values`, and which hashes are in none.

    Each hash is in one ball at most; `beside` are those that are in no earlier ball. `runs` are groups of hashes among
    which clusters are looked for.
    """
    left = np.ones(len(values), np.bool_)
    found: list[Ball] = []
    known: list[tuple[np.uint64, int]] = []
    for run in runs:
        members = run
        for centre, radius in known:
            members = members[np.bitwise_count(members ^ centre) > radius]
        while len(members) >= FEWEST:
            centre = _centre(members, limit // 2)
            apart = np.bitwise_count(values ^ centre)
            radius = _radius(apart[left], limit)
            if radius < 0:
                break
            inside = left & (apart <= radius)
            left &= ~inside
            beside = left & (apart <= radius + limit)
            found.append(Ball(*(np.flatnonzero(one).astype(np.int32) for one in (inside, beside))))
            known.append((centre, radius))
            members = members[np.bitwise_count(members ^ centre) > radius]
    return found, left


def _centre(members: Hashes, radius: int) -> np.uint64:
    """The middle of the densest place among some hashes: of those about one of them, each bit as most have it."""
    tried = members[np.linspace(0, len(members) - 1, _TRIED).astype(np.intp)]
    near = [members[np.bitwise_count(members ^ one) <= radius] for one in tried]
    densest = max(near, key=len)
    ones = [np.count_nonzero(densest & np.uint64(1 << place)) > len(densest) / 2 for place in range(BITS)]
    return np.uint64(sum(1 << place for place, one in enumerate(ones) if one))


def _radius(apart: NDArray[np.uint8], limit: int) -> int:
    """The widest radius about a centre with few hashes beside it; -1 where none is worth it."""
    within = np.cumsum(np.bincount(apart, minlength=BITS + 1))
    for radius in range(limit, limit // 2 - 1, -1):
        inside, reached = int(within[radius]), int(within[min(BITS, radius + limit)])
        most = inside if radius > limit // 2 else _BESIDE * inside
        if inside >= FEWEST and reached - inside <= most:
            return radius
    return -1
