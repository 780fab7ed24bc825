"""How the bits of hashes are cut into chunks, some of which two close hashes have to agree in."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate, combinations

import numpy as np
from numpy.typing import NDArray

BITS = 64
MOST_AGREE = 6
_MOVE_NS, _SORT_NS, _PAIR_NS = 6.0, 28.0, 1.6
"""What it costs a hash to have chunks moved and to be sorted, and a pair to be compared (AMD EPYC, AVX2)."""
_LONG_NS = 11.0
"""What it costs a pair of a run longer than is to be expected, 10 to 20 with what keeps it from being told twice."""
Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class Chunks:
    """How the bits are cut: first bit (from the highest) and width of each chunk. `agree` of them are chosen."""

    starts: tuple[int, ...]
    widths: tuple[int, ...]
    agree: int

    @classmethod
    def of(cls, limit: int, agree: int) -> "Chunks":
        """Chunks of even width, such that two hashes within `limit` agree in `agree` of them at least."""
        if not agree:
            return cls((), (), 0)
        count = limit + agree
        widths = tuple(BITS // count + (place < BITS % count) for place in range(count))
        return cls(tuple(accumulate(widths[:-1], initial=0)), widths, agree)

    @classmethod
    def cheapest(cls, count: int, few: int, limit: int) -> "Chunks":
        """Those that cost least, for `count` hashes of which `few` are held against all."""

        def cost(agree: int) -> float:
            if not agree:
                return _PAIR_NS * count * few / 2
            compared = longest_run(count, BITS * agree / (limit + agree))
            touched = count if few == count else min(count, count * few / 2 ** (BITS * agree / (limit + agree)))
            choices = math.comb(limit + agree, agree)
            return choices * (_MOVE_NS * count + (_SORT_NS + _PAIR_NS * compared) * touched)

        return cls.of(limit, min(range(1 + max(0, min(MOST_AGREE, BITS - limit))), key=cost))

    def costs_more_than_all(self, count: int, long_pairs: float) -> bool:
        """Whether comparing all `count` hashes with each other is cheaper where a choice has `long_pairs` in long runs.

        Hashes of pictures are skewed, which `cheapest` cannot know; of drawn shapes, one pair in a hundred agrees.
        """
        return math.comb(len(self.widths), self.agree) * _LONG_NS * long_pairs > _PAIR_NS * count * count / 2

    def mask(self, *chunks: int) -> np.uint64:
        """The bits of chunks."""
        return reduce(np.bitwise_or, (bits(self.starts[one], self.widths[one]) for one in chunks), np.uint64(0))

    def tops(self, *chunks: int) -> np.uint64:
        """The highest bit of each of some chunks."""
        return reduce(np.bitwise_or, (bits(self.starts[one], 1) for one in chunks), np.uint64(0))

    def apart(self) -> list[tuple[int, ...]]:
        """Choices that have no chunk in common, as a sample of all."""
        begins = range(0, len(self.widths) - self.agree + 1, self.agree)
        return [tuple(range(begin, begin + self.agree)) for begin in begins]

    def beginnings(self) -> list[tuple[int, ...]]:
        """Every choice of chunks but for its last one."""
        return list(combinations(range(len(self.widths) - 1), self.agree - 1)) if self.agree else [()]

    def choices(self, beginning: tuple[int, ...]) -> list[tuple[int, ...]]:
        """The choices that begin so."""
        if not self.agree:
            return [()]
        return [(*beginning, last) for last in range(beginning[-1] + 1 if beginning else 0, len(self.widths))]

    def to_front(self, values: Hashes, choice: Sequence[int], *, done: int = 0) -> Hashes:
        """The hashes with the bits of a choice moved to the front, the first `done` of which are there already."""
        front = sum(self.widths[chunk] for chunk in choice[:done])
        for chunk in choice[done:]:
            values, front = _moved(values, front, self.starts[chunk], self.widths[chunk]), front + self.widths[chunk]
        return values

    def from_front(self, values: Hashes, choice: Sequence[int]) -> Hashes:
        """What `to_front` changed, as it was."""
        front = sum(self.widths[chunk] for chunk in choice)
        for chunk in reversed(choice):
            front, start, width = front - self.widths[chunk], self.starts[chunk], self.widths[chunk]
            values = _moved(values, front, front + width, start - front)
        return values


def longest_run(count: int, bits: float) -> float:
    """About how many of so many random hashes agree at most in so many bits: the mean and five standard deviations."""
    mean = count / 2**bits
    return float(mean + 5 * math.sqrt(mean))


def bits(start: int, width: int) -> np.uint64:
    """A mask of `width` bits from the `start`-th highest on."""
    return np.uint64((1 << width) - 1 << BITS - start - width)


def _moved(values: Hashes, front: int, start: int, width: int) -> Hashes:
    """The hashes with the `width` bits from `start` on moved to `front`, and those between moved behind them."""
    if start == front or not width:
        return values
    between = bits(front, start - front)
    moved = bits(start, width)
    stay = values & ~(between | moved)
    found: Hashes = stay | (values & moved) << np.uint64(start - front) | (values & between) >> np.uint64(width)
    return found
