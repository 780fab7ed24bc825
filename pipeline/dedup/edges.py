"""Pairs of pictures that look alike, as edges (a, b, distance) between pixel ids. Deciding is left to selection.

New pictures are compared with all that were compared before and with each other, each pair once. Pictures of equal
pixels are one node, and those of equal hashes are compared as one. A row is stored for each node with its neighbours
among the nodes before it, up to REACH, so that a recipe's threshold can change without comparing anything again. Those
beyond NEAR stand apart: they are by far the most, and seldom asked for.
"""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import BaseModel

from pipeline import shards
from pipeline.dedup import hamming
from pipeline.dedup.pairs import Pairs
from pipeline.stage import Tools, commit, cut, fingerprint, note, requests_of

VERSION = 2
KEY = ("pixel_id",)
READS = ("perceptual__hash",)
REACH = 12
"""Largest distance that is stored; of 64 bits."""
NEAR = 6
"""Largest distance of those that stand first; the default of `dedup.near`."""
_NONE = hamming.Found(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.uint8))
ADDS = pa.schema(
    [
        pa.field("edges__hash", pa.uint64(), metadata={b"description": b"the node's perceptual hash"}),
        pa.field("edges__near", pa.list_(pa.string()), metadata={b"description": b"pixel ids of earlier neighbours"}),
        pa.field("edges__near_bits", pa.list_(pa.uint8()), metadata={b"description": b"bits that differ, 0 to 6"}),
        pa.field("edges__far", pa.list_(pa.string()), metadata={b"description": b"pixel ids of farther ones"}),
        pa.field("edges__far_bits", pa.list_(pa.uint8()), metadata={b"description": b"bits that differ, 7 to 12"}),
    ]
)


class Params(BaseModel, frozen=True, extra="forbid"):
    """Nothing: the distance that counts is selection's business."""


def ensure(nodes: Mapping[str, int], tools: Tools, *, hash_fingerprint: str, within: int = REACH) -> Pairs:
    """The edges of up to `within` bits among the given pictures, comparing only those that are new.

    `nodes` has each pixel id's 64-bit hash; pictures too flat to compare must be left out by the caller. All edges up
    to REACH are stored; of a hundred thousand pictures there may be millions, of which few are asked for.
    """
    module, began = sys.modules[__name__], time.monotonic()
    folder = tools.workspace.table_folder("edges", fingerprint(module, Params(), hash_fingerprint))
    known = _known(folder)
    new = sorted(set(nodes) - set(known))
    if new:
        names = [*known, *new]
        values = np.array([*known.values(), *(nodes[one] for one in new)], np.uint64)
        near, far = _Neighbours.parted(names, _compared(values, len(known), threads=tools.workers))
        for part in cut(range(len(known), len(names)), "edges", tools):
            rows = [{"edges__hash": nodes[names[one]], **near.row("near", one), **far.row("far", one)} for one in part]
            asked = [{"pixel_id": names[one], "perceptual__hash": nodes[names[one]]} for one in part]
            commit(folder, module, requests_of(asked, KEY, READS), rows)
    shards.compact(folder)
    note(tools, "edges", computed=len(new), asked=len(nodes), began=began)
    return _pairs(folder, nodes, within)


@dataclass(frozen=True)
class _Neighbours:
    """For each node those before it, by name."""

    others: list[str]
    bits: list[int]
    starts: list[int]
    """Where those of each node begin; one more at the end."""

    @classmethod
    def parted(cls, names: Sequence[str], found: hamming.Found) -> list["_Neighbours"]:
        """Of pairs of which the first is the later node, the near ones and the far ones."""
        who = np.array(names, object)
        rank = np.empty(len(names), np.int32)
        rank[np.argsort(who)] = np.arange(len(names), dtype=np.int32)
        order = np.lexsort((rank[found.second], found.first))
        later, earlier, distance = (one[order] for one in found)
        nodes, parts = np.arange(len(names) + 1), (distance <= NEAR, distance > NEAR)
        return [
            cls(who[earlier[part]].tolist(), distance[part].tolist(), np.searchsorted(later[part], nodes).tolist())
            for part in parts
        ]

    def row(self, name: str, node: int) -> dict[str, Any]:
        """The columns of a node."""
        own = slice(self.starts[node], self.starts[node + 1])
        return {f"edges__{name}": self.others[own], f"edges__{name}_bits": self.bits[own]}


def close(values: NDArray[np.uint64], asked: NDArray[np.bool_], limit: int, threads: int) -> Iterator[hamming.Found]:
    """Pairs of places of which one at least is asked for and whose hashes differ in at most `limit` bits, in batches.

    Those of different hashes come once, those of equal hashes from both sides (and each with itself).
    """
    distinct, which = np.unique(values, return_inverse=True)
    wanted = np.zeros(len(distinct), np.bool_)
    wanted[which[asked]] = True
    order, sizes = np.argsort(which, kind="stable").astype(np.int32), np.bincount(which, minlength=len(distinct))
    starts = np.cumsum(sizes) - sizes
    equal = np.flatnonzero(wanted & (sizes > 1)).astype(np.int32)
    same = hamming.Found(equal, equal, np.zeros(len(equal), np.uint8))
    for batch in chain([same], hamming.near(distinct, limit, asked=wanted, threads=threads)):
        yield _members(batch, order, starts, sizes)


def _compared(values: NDArray[np.uint64], known: int, *, threads: int) -> hamming.Found:
    """Pairs of which the later, which is the first of each, is new: its place is `known` or above."""
    found = [_NONE]
    for one, other, distance in close(values, np.arange(len(values)) >= known, REACH, threads):
        later, earlier = np.maximum(one, other), np.minimum(one, other)
        mine = (later >= known) & (later != earlier)
        found.append(hamming.Found(later[mine], earlier[mine], distance[mine]))
    later, earlier, distance = (np.concatenate(parts) for parts in zip(*found, strict=True))
    if not distance.all():  # each pair of equal ones was met from both sides
        _, once = np.unique(later.astype(np.int64) * len(values) + earlier, return_index=True)
        return hamming.Found(later[once], earlier[once], distance[once])
    return hamming.Found(later, earlier, distance)


def _members(
    batch: hamming.Found, order: NDArray[np.int32], starts: NDArray[np.int64], sizes: NDArray[np.int64]
) -> hamming.Found:
    """The pairs of pictures that pairs of distinct hashes stand for."""
    each = sizes[batch.first] * sizes[batch.second]
    if each.max(initial=1) == 1:
        return hamming.Found(order[starts[batch.first]], order[starts[batch.second]], batch.distance)
    pair = np.repeat(np.arange(len(each)), each)
    within = np.arange(len(pair)) - np.repeat(np.cumsum(each) - each, each)
    one, other = np.divmod(within, sizes[batch.second][pair])
    return hamming.Found(
        order[starts[batch.first][pair] + one], order[starts[batch.second][pair] + other], batch.distance[pair]
    )


def _known(folder: Path) -> dict[str, int]:
    table = shards.read(folder, ["pixel_id", "edges__hash"])
    return dict(zip(*(column.to_pylist() for column in table.columns), strict=True)) if table.num_columns else {}


def _pairs(folder: Path, nodes: Mapping[str, int], within: int) -> Pairs:
    """The stored neighbours as pairs; told twice where a shard was lost, since its nodes are then newer than others."""
    names = sorted(nodes)
    columns = ("near", "far") if within > NEAR else ("near",)

    def those(shard: pa.Table) -> pa.Table:
        return pa.concat_tables([_within(shard, f"edges__{name}", within) for name in columns])

    wanted = [f"edges__{name}{more}" for name in columns for more in ("", "_bits")]
    stored = shards.read(folder, ["pixel_id", *wanted], shape=those)
    if not stored.num_columns:
        return Pairs.none(names)
    order = pa.array(names, pa.string())
    one, other = (_places(stored[name], order) for name in ("one", "other"))
    asked = (one >= 0) & (other >= 0)
    return Pairs.of(names, one[asked], other[asked], stored["distance"].to_numpy()[asked])


def _within(shard: pa.Table, column: str, limit: int) -> pa.Table:
    """Each node beside a neighbour that differs in at most `limit` bits."""
    bits = pc.list_flatten(shard[f"{column}_bits"])
    chosen = pc.indices_nonzero(pc.less_equal(pc.cast(bits, pa.int16()), limit))
    node = pc.list_parent_indices(shard[column]).take(chosen)
    others = pc.list_flatten(shard[column]).take(chosen)
    return pa.table({"one": shard["pixel_id"].take(node), "other": others, "distance": bits.take(chosen)})


def _places(values: pa.ChunkedArray, names: pa.Array) -> NDArray[np.int32]:
    """Place of each value among the names; -1 where it is none of them."""
    return np.asarray(pc.fill_null(pc.index_in(values, names), -1).to_numpy(), np.int32)
