"""All pairs of 64-bit hashes that differ in few bits: exact at any distance, without comparing all with all.

The bits are cut into `limit + k` chunks. A pair that differs in at most `limit` bits agrees in at least `k` whole
chunks, so for each choice of `k` chunks the hashes are sorted by these, and only those that agree in them are compared
(the pigeonhole principle; multi-index hashing of Norouzi et al. 2012, with `k` above 1). A pair is told by the first
`k` chunks in which it agrees and by no other choice. `k` is the one that costs least for so many hashes: of few, 0,
which compares all with all; of a million at 8 bits, 3, which compares one pair in a thousand.

Hashes of real pictures are skewed: many agree in some chunks. Such runs are compared in blocks, and of them only what
differs in every earlier chunk, so that a cluster is compared about once and not at each choice.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.dedup.chunks import BITS, Chunks, Hashes, bits, longest_run
from pipeline.dedup.streaming import streamed

_BLOCK = 65_536
"""Hashes that are held against their neighbours at a time: 1 MiB with what differs."""
_RUN = 64
"""Runs of hashes that agree which are longer than this, and than is to be expected, are compared in blocks."""
_ROWS, _COLUMNS = 16, 4096
"""Such a block: 64 Ki pairs."""
_WHOLE = 2**18
"""So many pairs are compared without asking first which of them an earlier choice has told."""
_MANY = 2**18
"""Pairs that are handed over together, about."""
_TABLE_BITS = 26
Places = NDArray[np.int32]
Indices = NDArray[np.int64]


class Found(NamedTuple):
    """Some of the pairs: places of the two hashes, either one first, and the bits that differ."""

    first: Places
    second: Places
    distance: NDArray[np.uint8]


Tell = Callable[[Found], None]


def near(values: Hashes, limit: int, *, asked: NDArray[np.bool_] | None = None, threads: int = 2) -> Iterator[Found]:
    """All pairs of `values` that differ in at most `limit` bits, a batch at a time and in no order; each pair once.

    `values` are in ascending order and each there once (`np.unique`): equal hashes are one node, for the pairs among
    twenty thousand equal ones would be two hundred million. With `asked` only pairs with at least one that is asked for
    (new ones against all, say). What is found is handed over at once and not held; the rest of the memory is some 60
    bytes a hash and thread.
    """
    few = len(values) if asked is None else int(np.count_nonzero(asked))
    if limit < 0 or len(values) < 2 or not few:
        return iter(())
    search = _Search(values, limit, None if few == len(values) else asked, Chunks.cheapest(len(values), few, limit))
    return streamed(search.look, search.chunks.beginnings(), threads=threads)


class _Some(NamedTuple):
    """Some of the hashes, and their places among all."""

    values: Hashes
    places: Places

    def only(self, chosen: slice | NDArray[np.bool_] | Indices) -> "_Some":
        return _Some(self.values[chosen], self.places[chosen])


@dataclass(frozen=True)
class _Search:
    values: Hashes
    limit: int
    asked: NDArray[np.bool_] | None
    chunks: Chunks

    def look(self, beginning: tuple[int, ...], tell: Tell) -> None:
        """Tell the pairs of all choices that begin so."""
        begun = self.chunks.to_front(self.values, beginning)
        for choice in self.chunks.choices(beginning):
            self._compare(self.chunks.to_front(begun, choice, done=len(beginning)), choice, tell)

    def _compare(self, arranged: Hashes, choice: tuple[int, ...], tell: Tell) -> None:
        """Tell the pairs of a choice, whose bits `arranged` has in front."""
        width = sum(self.chunks.widths[chunk] for chunk in choice)
        if choice:
            arranged = np.sort(self._touched(arranged, width))
        front = arranged & bits(0, width)
        starts = np.concatenate([[0], np.flatnonzero(front[1:] != front[:-1]) + 1])
        lengths = np.diff(starts, append=len(arranged))
        long = lengths > max(_RUN, longest_run(len(self.values), width))
        earlier = [chunk for chunk in range(choice[-1] if choice else 0) if chunk not in choice]
        for start, length in zip(starts[long].tolist(), lengths[long].tolist(), strict=True):
            members = self.chunks.from_front(arranged[start : start + length], choice)
            self._within(self._placed(members), earlier, tell)
        if long.any():
            arranged, lengths = arranged[np.repeat(~long, lengths)], lengths[~long]
        for one, other in self._neighbours(arranged, lengths):
            mine, theirs = (self.chunks.from_front(arranged[places], choice) for places in (one, other))
            self._tell_run(mine, theirs, choice, earlier, tell)

    def _touched(self, arranged: Hashes, width: int) -> Hashes:
        """Those that agree in the bits in front with one that is asked for."""
        if self.asked is None:
            return arranged
        keys = arranged >> np.uint64(BITS - width)
        if width > _TABLE_BITS:
            chosen = np.isin(keys, keys[self.asked])
        else:
            touched = np.zeros(2**width, np.bool_)
            touched[keys[self.asked]] = True
            chosen = touched[keys]
        found: Hashes = arranged[chosen]
        return found

    def _neighbours(self, arranged: Hashes, lengths: Indices) -> Iterator[tuple[Indices, Indices]]:
        """Close hashes of short runs: each is held against the next one, then against the one after it, and so on."""
        ends = np.cumsum(lengths)
        apart, count, close = np.empty(_BLOCK, np.uint64), np.empty(_BLOCK, np.uint8), np.empty(_BLOCK, np.bool_)
        ones: list[Indices] = []
        others: list[Indices] = []
        for begin in range(0, len(arranged) - 1, _BLOCK):
            first, last = np.searchsorted(ends, (begin, begin + _BLOCK), "right")
            for step in range(1, int(lengths[first : last + 1].max())):
                size = min(_BLOCK, len(arranged) - begin - step)
                if size <= 0:
                    break
                np.bitwise_xor(arranged[begin:][:size], arranged[begin + step :][:size], out=apart[:size])
                np.bitwise_count(apart[:size], out=count[:size])
                np.less_equal(count[:size], self.limit, out=close[:size])
                found = np.flatnonzero(close[:size]) + begin
                if len(found):
                    ones.append(found)
                    others.append(found + step)
            if sum(map(len, ones)) > _MANY:
                yield np.concatenate(ones), np.concatenate(others)
                ones, others = [], []
        if ones:
            yield np.concatenate(ones), np.concatenate(others)

    def _tell_run(self, one: Hashes, other: Hashes, choice: Sequence[int], earlier: Sequence[int], tell: Tell) -> None:
        """Tell those of some close pairs that agree in the choice and in no earlier chunk."""
        chosen = ((one ^ other) & self.chunks.mask(*choice) == 0) & self._first(one ^ other, earlier)
        one, other = one[chosen], other[chosen]
        self._tell(self._placed(one).places, self._placed(other).places, np.bitwise_count(one ^ other), tell)

    def _within(self, members: _Some, earlier: Sequence[int], tell: Tell) -> None:
        """Tell the pairs among many hashes that agree, unless they agree in an earlier chunk too."""
        if self.asked is not None:
            asked = self.asked[members.places]
            self._between(members.only(asked), members.only(~asked), earlier, tell)
            members = members.only(asked)
        if earlier and len(members.values) ** 2 > _WHOLE:
            members, ends = self._grouped(members, earlier[0])
            for begin, end in pairwise((0, *ends)):
                self._between(members.only(slice(begin, end)), members.only(slice(end, None)), earlier[1:], tell)
            return
        begin = 0
        while begin < len(members.values):
            end = begin + _rows(len(members.values) - begin)
            rows, columns = members.only(slice(begin, end)), members.only(slice(begin, None))
            self._blocks(rows, columns, earlier, tell, inside=True)
            begin = end

    def _between(self, rows: _Some, columns: _Some, earlier: Sequence[int], tell: Tell) -> None:
        """Tell the pairs of one here and one there, unless they agree in an earlier chunk."""
        if earlier and len(rows.values) * len(columns.values) > _WHOLE:
            mask = self.chunks.mask(earlier[0])
            theirs = columns.values & mask
            rows, ends = self._grouped(rows, earlier[0])
            for begin, end in pairwise((0, *ends)):
                differing = columns.only(theirs != rows.values[begin] & mask)
                self._between(rows.only(slice(begin, end)), differing, earlier[1:], tell)
            return
        step = _rows(len(columns.values))
        for begin in range(0, len(rows.values), step):
            self._blocks(rows.only(slice(begin, begin + step)), columns, earlier, tell)

    def _grouped(self, some: _Some, chunk: int) -> tuple[_Some, Sequence[int]]:
        """The hashes in an order that puts together those that agree in a chunk, and where each group ends."""
        keys = some.values & self.chunks.mask(chunk)
        order = np.argsort(keys)
        return some.only(order), [*(np.flatnonzero(np.diff(keys[order])) + 1).tolist(), len(order)]

    def _blocks(self, rows: _Some, columns: _Some, earlier: Sequence[int], tell: Tell, *, inside: bool = False) -> None:
        """Compare few here with many there; with `inside`, `columns` begin with `rows` themselves."""
        for begin in range(0, len(columns.values), _COLUMNS):
            some = columns.only(slice(begin, begin + _COLUMNS))
            apart = rows.values[:, None] ^ some.values
            count = np.bitwise_count(apart)
            close = count <= self.limit
            if inside and begin == 0:
                close = np.triu(close, 1)
            if earlier:
                close &= self._first(apart, earlier)
            found = np.flatnonzero(close)
            if len(found):
                row = found // len(some.values)
                column = found - row * len(some.values)
                self._tell(rows.places[row], some.places[column], count.ravel()[found], tell)

    def _first(self, apart: Hashes, earlier: Sequence[int]) -> NDArray[np.bool_]:
        """Whether pairs that differ in these bits differ in every earlier chunk."""
        # a chunk without its highest bit, plus all ones there, carries into that bit unless it is 0
        tops = self.chunks.tops(*earlier)
        rest = self.chunks.mask(*earlier) ^ tops
        found: NDArray[np.bool_] = (((apart & rest) + rest) | apart) & tops == tops
        return found

    def _tell(self, one: Places, other: Places, distance: NDArray[np.uint8], tell: Tell) -> None:
        if self.asked is not None:
            wanted = self.asked[one] | self.asked[other]
            one, other, distance = one[wanted], other[wanted], distance[wanted]
        tell(Found(one, other, distance))

    def _placed(self, values: Hashes) -> _Some:
        return _Some(values, np.searchsorted(self.values, values).astype(np.int32))


def _rows(columns: int) -> int:
    """How many hashes are held against so many at a time."""
    return max(_ROWS, _ROWS * _COLUMNS // max(1, columns))
