"""What groups of duplicates are like: how far the members are from the one that is kept, and from each other.

Every member was compared with the one that is kept, so the weakest link is within the limit; two members may differ in
twice as much, which is the diameter's to tell. What counts as the same only to CLIP may differ in any number of bits.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.dedup.links import Link, Links
from pipeline.manifest import Row, table_of

GROUPS = pa.schema(
    [
        ("kept", pa.string()),  # sample id of the one that is kept
        ("members", pa.int64()),  # contents beside it that gave way to it
        ("weakest", pa.int32()),  # bits in which the member farthest from it differs, of 64
        ("diameter", pa.int32()),  # bits in which the two of the group differ that are farthest apart
    ]
)
_ROWS = 1024


def told(ledger: Sequence[Row], hashes: Mapping[str, int]) -> pa.Table:
    """A row of GROUPS for each picture that is kept in place of others; `hashes` by sample id.

    Of a copy that lies differently, the hash in the way in which it is like the one that is kept.
    """
    members: dict[str, set[str]] = defaultdict(set)
    for row in ledger:
        if row["state"] == "duplicate" and row["sample_id"] != row["kept_instead"]:
            members[row["kept_instead"]].add(row["sample_id"])
    rows: list[Row] = []
    for kept, others in sorted(members.items()):
        all_ = np.unique(np.array([hashes[one] for one in (kept, *others)], np.uint64))
        weakest = int(np.bitwise_count(all_ ^ np.uint64(hashes[kept])).max())
        rows.append({"kept": kept, "members": len(others), "weakest": weakest, "diameter": _diameter(all_)})
    return table_of(rows, GROUPS)


def _diameter(hashes: NDArray[np.uint64]) -> int:
    blocks = (hashes[begin : begin + _ROWS, None] for begin in range(0, len(hashes), _ROWS))
    return max(int(np.bitwise_count(rows ^ hashes).max()) for rows in blocks)


def components(pixel_ids: Iterable[str], near: Mapping[str, Iterable[str]]) -> dict[str, int]:
    """The number of each picture's group: all that are linked, through however many others."""
    # as scipy's connectedcomponents does it, which takes half a second to import
    parent = {one: one for one in sorted(set(pixel_ids))}

    def root(one: str) -> str:
        while parent[one] != one:
            parent[one] = one = parent[parent[one]]
        return one

    for a, others in near.items():
        for b in others:
            if a in parent and b in parent:
                first, second = sorted((root(a), root(b)))
                parent[second] = first
    numbers: dict[str, int] = {}
    return {one: numbers.setdefault(root(one), len(numbers)) for one in parent}


def beside(near: Links, apart: Iterable[frozenset[str]], stayed: Container[str]) -> dict[str, Link]:
    """Of the pictures that stayed because people keep them beside a look-alike, how near the nearest such one is."""
    found: dict[str, Link] = {}
    for one, other in map(sorted, apart):
        if other in near.get(one, {}) and one in stayed and other in stayed:
            for each in (one, other):
                found[each] = min(found.get(each, near[one][other]), near[one][other])
    return found
