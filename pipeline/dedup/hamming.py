"""All pairs of 64-bit hashes that differ in few bits: exact at any distance, without comparing all with all.

The bits are cut into `limit + k` chunks. A pair that differs in at most `limit` bits agrees in at least `k` whole
chunks, so for each choice of `k` chunks the hashes are sorted by these, and only those that agree in them are compared
(the pigeonhole principle; multi-index hashing of Norouzi et al. 2012, with `k` above 1). A pair is told by the first
`k` chunks in which it agrees and by no other choice. `k` is the one that costs least for so many hashes: of few, 0,
which compares all with all; of a million at 8 bits, 3, which compares one pair in a thousand.

Hashes of real pictures are skewed: many agree in some chunks. Dense clusters are taken out first (`balls`). What else
makes long runs is compared in blocks, and of them only what differs in every earlier chunk, so that it is compared
about once and not at each choice.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.dedup import balls
from pipeline.dedup.chunks import Chunks, Hashes, bits, longest_run
from pipeline.dedup.runs import Indices, neighbours, touched
from pipeline.dedup.streaming import streamed

_RUN = 64
"""Runs of hashes that agree which are longer than this, and than is to be expected, are compared in blocks."""
_ROWS, _COLUMNS = 16, 4096
"""Such a block: 64 Ki pairs."""
_WHOLE = 2**18
"""So many pairs are compared without asking first which of them an earlier choice has told."""
_HANDED = 2**14
"""Pairs that are handed over at a time, and held until they are so many."""
_PART = 1024
"""Members of a cluster that are held against all others of it before a thread takes something else."""
Places = NDArray[np.int32]


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
    (new ones against all, say). What is found is handed over by some ten thousand pairs and not held; the rest of the
    memory is some 60 bytes a hash and thread.
    """
    few = len(values) if asked is None else int(np.count_nonzero(asked))
    if limit < 0 or len(values) < 2 or not few:
        return iter(())
    search = _Search(values, limit, None if few == len(values) else asked, Chunks.cheapest(len(values), few, limit))
    return streamed(_handed, search.tasks(), threads=threads)


def _handed(task: Callable[[Tell], None], tell: Tell) -> None:
    """Do a task, and tell what it finds in batches that are worth a thread's waking."""
    held: list[Found] = []
    count = 0

    def hand() -> None:
        nonlocal count
        tell(Found(*(np.concatenate(parts) for parts in zip(*held, strict=True))))
        held.clear()
        count = 0

    def take(found: Found) -> None:
        nonlocal count
        held.append(found)
        count += len(found.first)
        if count >= _HANDED:
            hand()

    task(take)
    if held:
        hand()


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

    def tasks(self) -> list[Callable[[Tell], None]]:
        """What tells all pairs, in parts: those of dense clusters, then those of what is left by chunks."""
        values, asked = self.values, self.asked
        if not self.chunks.agree:
            return self._whole(_parted(np.ones(len(values), np.bool_) if asked is None else asked))
        clusters, left = balls.peeled(values, self.limit, self._dense())
        found = [task for ball in clusters for task in self._whole(ball)]
        if clusters:
            values, asked = values[left], None if asked is None else asked[left]
        if asked is None and self._crowded(values):
            return found + self._whole(balls.Ball(np.flatnonzero(left).astype(np.int32), np.empty(0, np.int32)))
        return found + [partial(self._look, values, asked, one) for one in self.chunks.beginnings()]

    def _whole(self, ball: balls.Ball) -> list[Callable[[Tell], None]]:
        """What tells all pairs of which one is inside a ball."""
        places = np.concatenate([ball.inside, ball.beside])
        all_ = _Some(self.values[places], places)
        ends = [*range(_PART, len(ball.inside), _PART), len(ball.inside)]
        return [
            partial(self._across, all_.only(slice(begin, end)), all_.only(slice(end, None)))
            for begin, end in pairwise((0, *ends))
        ]

    def _dense(self) -> Iterator[Hashes]:
        """Long runs of some choices, in which clusters show."""
        for choice in self.chunks.apart():
            arranged, starts, lengths = self._runs(self.chunks.to_front(self.values, choice), self.asked, choice)
            long = lengths >= max(balls.FEWEST, longest_run(len(self.values), self._width(choice)))
            for start, length in zip(starts[long].tolist(), lengths[long].tolist(), strict=True):
                yield self.chunks.from_front(arranged[start : start + length], choice)

    def _crowded(self, values: Hashes) -> bool:
        """Whether so many agree in some choices that it is cheaper to compare all with all."""
        pairs = []
        for choice in self.chunks.apart():
            _, _, lengths = self._runs(self.chunks.to_front(values, choice), None, choice)
            long = lengths[self._is_long(lengths, choice)].astype(np.float64)
            pairs.append(float(long @ long) / 2)
        return self.chunks.costs_more_than_all(len(values), sum(pairs) / len(pairs))

    def _is_long(self, lengths: Indices, choice: tuple[int, ...]) -> NDArray[np.bool_]:
        """Which runs are longer than is to be expected of a choice, and so are compared in blocks."""
        return lengths > max(_RUN, longest_run(len(self.values), self._width(choice)))

    def _across(self, rows: _Some, columns: _Some, tell: Tell) -> None:
        """Tell the pairs among some, and of one of them and one of others."""
        self._within(rows, (), tell)
        if self.asked is None:
            self._between(rows, columns, (), tell)
            return
        asked, theirs = self.asked[rows.places], self.asked[columns.places]
        self._between(rows.only(asked), columns, (), tell)
        self._between(rows.only(~asked), columns.only(theirs), (), tell)

    def _look(self, values: Hashes, asked: NDArray[np.bool_] | None, beginning: tuple[int, ...], tell: Tell) -> None:
        """Tell the pairs among `values` of all choices that begin so."""
        begun = self.chunks.to_front(values, beginning)
        for choice in self.chunks.choices(beginning):
            arranged = self.chunks.to_front(begun, choice, done=len(beginning))
            self._compare(*self._runs(arranged, asked, choice), choice, tell)

    def _width(self, choice: tuple[int, ...]) -> int:
        return sum(self.chunks.widths[chunk] for chunk in choice)

    def _runs(
        self, arranged: Hashes, asked: NDArray[np.bool_] | None, choice: tuple[int, ...]
    ) -> tuple[Hashes, Indices, Indices]:
        """Hashes with a choice's bits in front, put in order; where runs that agree in these begin, and their lengths.

        Without those that agree with none that is asked for.
        """
        width = self._width(choice)
        arranged = np.sort(arranged if asked is None else touched(arranged, asked, width))
        front = arranged & bits(0, width)
        starts = np.concatenate([[0], np.flatnonzero(front[1:] != front[:-1]) + 1])
        return arranged, starts, np.diff(starts, append=len(arranged))

    def _compare(
        self, arranged: Hashes, starts: Indices, lengths: Indices, choice: tuple[int, ...], tell: Tell
    ) -> None:
        """Tell the pairs of a choice."""
        long = self._is_long(lengths, choice)
        earlier = [chunk for chunk in range(choice[-1]) if chunk not in choice]
        for start, length in zip(starts[long].tolist(), lengths[long].tolist(), strict=True):
            members = self.chunks.from_front(arranged[start : start + length], choice)
            self._within(self._placed(members), earlier, tell)
        if long.any():
            arranged, lengths = arranged[np.repeat(~long, lengths)], lengths[~long]
        for one, other in neighbours(arranged, lengths, self.limit):
            mine, theirs = (self.chunks.from_front(arranged[places], choice) for places in (one, other))
            self._tell_run(mine, theirs, choice, earlier, tell)

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


def _parted(inside: NDArray[np.bool_]) -> balls.Ball:
    """Some of the hashes, and all others beside them."""
    return balls.Ball(*(np.flatnonzero(one).astype(np.int32) for one in (inside, ~inside)))


def _rows(columns: int) -> int:
    """How many hashes are held against so many at a time."""
    return max(_ROWS, _ROWS * _COLUMNS // max(1, columns))
