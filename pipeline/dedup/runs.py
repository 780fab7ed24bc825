"""Runs of hashes that agree in the bits in front: which of them have a member that is asked for, and what is close."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pipeline.dedup.chunks import BITS, Hashes

_BLOCK = 65_536
"""Hashes that are held against their neighbours at a time: 1 MiB with what differs."""
_FEW = 6
"""It takes about so many times as long to hold a hash against another by their places than all against their next."""
_MANY = 2**18
"""Pairs that are handed over together, about."""
_TABLE_BITS = 26
Indices = NDArray[np.int64]


def touched(arranged: Hashes, asked: NDArray[np.bool_], width: int) -> Hashes:
    """Those that agree in the bits in front with one that is asked for."""
    keys = arranged >> np.uint64(BITS - width)
    if width > _TABLE_BITS:
        chosen = np.isin(keys, keys[asked])
    else:
        touched = np.zeros(2**width, np.bool_)
        touched[keys[asked]] = True
        chosen = touched[keys]
    found: Hashes = arranged[chosen]
    return found


def neighbours(arranged: Hashes, lengths: Indices, limit: int) -> Iterator[tuple[Indices, Indices]]:
    """Close hashes of short runs: each is held against the next one, then against the one after it, and so on.

    All of them as far as many runs go, and beyond that only those of the runs that go on.
    """
    ends, most = np.cumsum(lengths), _common(lengths)
    apart, count, close = np.empty(_BLOCK, np.uint64), np.empty(_BLOCK, np.uint8), np.empty(_BLOCK, np.bool_)
    ones: list[Indices] = []
    others: list[Indices] = []
    for begin in range(0, len(arranged) - 1, _BLOCK):
        first, last = np.searchsorted(ends, (begin, begin + _BLOCK), "right")
        for step in range(1, min(most, int(lengths[first : last + 1].max()))):
            size = min(_BLOCK, len(arranged) - begin - step)
            if size <= 0:
                break
            np.bitwise_xor(arranged[begin:][:size], arranged[begin + step :][:size], out=apart[:size])
            np.bitwise_count(apart[:size], out=count[:size])
            np.less_equal(count[:size], limit, out=close[:size])
            found = np.flatnonzero(close[:size]) + begin
            if len(found):
                ones.append(found)
                others.append(found + step)
        if sum(map(len, ones)) > _MANY:
            yield np.concatenate(ones), np.concatenate(others)
            ones, others = [], []
    left = np.flatnonzero(np.repeat(lengths > most, lengths))
    follow = np.repeat(ends[lengths > most], lengths[lengths > most]) - left
    for step in range(most, int(lengths.max(initial=0))):
        left, follow = left[follow > step], follow[follow > step]
        found = left[np.bitwise_count(arranged[left] ^ arranged[left + step]) <= limit]
        ones.append(found)
        others.append(found + step)
        if sum(map(len, ones)) > _MANY:
            yield np.concatenate(ones), np.concatenate(others)
            ones, others = [], []
    if ones:
        yield np.concatenate(ones), np.concatenate(others)


def _common(lengths: Indices) -> int:
    """The step from which few hashes have another one so far on in their run."""
    counts = np.bincount(lengths)
    reached = np.cumsum(np.cumsum(counts[:0:-1]))[::-1]  # by step, from 0 on: the hashes with one so far on
    return max(1, int(np.count_nonzero(reached * _FEW > lengths.sum())))
