"""Pairs of pictures that look alike, as columns: of ten thousand pictures there may be hundreds of thousands."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.dedup import perceptual

Edge = tuple[str, str, int]
"""Two pixel ids, the lesser first, and the bits of 64 in which their hashes differ."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Edges between pictures, nine bytes each; iterating gives them as `Edge`.

    `names` are pixel ids in ascending order, `first` and `second` places in it (`first` is the lesser) and `distance`
    the bits that differ. Ordered by the two places, each pair once.
    """

    names: Sequence[str]
    first: NDArray[np.int32]
    second: NDArray[np.int32]
    distance: NDArray[np.uint8]

    @classmethod
    def of(
        cls, names: Sequence[str], one: NDArray[np.int32], other: NDArray[np.int32], distance: NDArray[np.uint8]
    ) -> "Pairs":
        """Pairs in any order, told from either side or from both; `names` are in ascending order."""
        first, second = np.minimum(one, other), np.maximum(one, other)
        _, chosen = np.unique(first.astype(np.int64) * len(names) + second, return_index=True)
        return cls(names, first[chosen], second[chosen], distance[chosen])

    @classmethod
    def none(cls, names: Sequence[str] = ()) -> "Pairs":
        """No pairs among `names`."""
        return cls(names, np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.uint8))

    def __len__(self) -> int:
        """How many pairs there are."""
        return len(self.distance)

    def __iter__(self) -> Iterator[Edge]:
        """Each pair."""
        for first, second, distance in zip(self.first, self.second, self.distance, strict=True):
            yield self.names[first], self.names[second], int(distance)

    def of_like_colours(self, colours: Mapping[str, int], *, limit: int) -> "Pairs":
        """Those whose mean colours (`perceptual__colors` by pixel id) are at most `limit` apart.

        The hash sees no colour: a red and a blue cup in one place are neighbours to it.
        """
        each = np.array([colours[name] for name in self.names], np.uint64)
        return self._only(perceptual.colour_distance(each[self.first], each[self.second]) <= limit)

    def table(self, schema: pa.Schema) -> pa.Table:
        """The pairs as columns `a`, `b`, `kind` (perceptual) and `distance` of `schema`, texts as places in a list."""
        names, places = pa.array(self.names, pa.string()), (self.first, self.second)
        a, b = (pa.DictionaryArray.from_arrays(pa.array(place, pa.int32()), names) for place in places)
        kind = pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(self), np.int32)), pa.array(["perceptual"]))
        return pa.table([a, b, kind, pa.array(self.distance, pa.int32())], schema=schema)

    def _only(self, chosen: NDArray[np.bool_]) -> "Pairs":
        return Pairs(self.names, self.first[chosen], self.second[chosen], self.distance[chosen])
