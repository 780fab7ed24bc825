"""That two pictures count as the same, by whatever tells it."""

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple


class Link(NamedTuple):
    """How two pictures are alike; of two links the lesser is the closer one."""

    level: int
    """0: as they lie; 1: mirrored or turned; 2: to CLIP."""
    distance: float
    """In the level's own unit, smaller is closer: bits of 64 that differ, or 1 less the cosine of two directions."""
    reason: str
    """What the ledger says of the one that gives way."""
    value: str
    """What was measured, and under which limit it counts; as the ledger shows them."""
    limit: str


Linked = tuple[str, str, Link]
"""Two pixel ids, the lesser first, and how they are alike."""
Links = dict[str, dict[str, Link]]
"""For each pixel id those that are alike, and by which link: of several the closest."""


@lru_cache(maxsize=512)  # of a hundred thousand pairs few differ
def bits(distance: int, limit: int, reason: str = "looks alike", *, level: int = 0) -> Link:
    """A link by perceptual hashes that differ in `distance` of 64 bits, where `limit` are allowed."""
    return Link(level, distance, reason, str(distance), str(limit))


def within(edges: Iterable[tuple[str, str, int]], limit: int) -> Iterable[Linked]:
    """Those of pairs with the bits in which their hashes differ that are near enough."""
    return ((a, b, bits(distance, limit)) for a, b, distance in edges if distance <= limit)


def gathered(linked: Iterable[Linked]) -> Links:
    """The links of each picture, from both sides."""
    found: Links = {}
    for a, b, link in linked:
        for one, other in ((a, b), (b, a)):
            there = found.setdefault(one, {})
            there[other] = min(there.get(other, link), link)
    return found
