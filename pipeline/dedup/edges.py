"""Pairs of pictures that look alike, as edges (a, b, distance) between pixel ids. Deciding is left to selection.

New pictures are compared with all that were compared before and with each other, each pair once. Pictures of equal
pixels are one node. A row is stored for each node with its neighbours among the nodes before it, up to REACH, so that
a recipe's threshold can change without comparing anything again.
"""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import BaseModel

from pipeline import shards
from pipeline.dedup import perceptual
from pipeline.dedup.pairs import Pairs
from pipeline.stage import Tools, commit, cut, fingerprint, note, requests_of

VERSION = 1
KEY = ("pixel_id",)
READS = ("perceptual__hash",)
REACH = 12
"""Largest distance that is stored; of 64 bits."""
ADDS = pa.schema(
    [
        pa.field("edges__hash", pa.uint64(), metadata={b"description": b"the node's perceptual hash"}),
        pa.field("edges__others", pa.list_(pa.string()), metadata={b"description": b"pixel ids of earlier neighbours"}),
        pa.field("edges__distances", pa.list_(pa.uint8()), metadata={b"description": b"bits that differ, 0 to 12"}),
    ]
)


class Params(BaseModel, frozen=True, extra="forbid"):
    """Nothing: the distance that counts is selection's business."""


def ensure(nodes: Mapping[str, int], tools: Tools, *, hash_fingerprint: str) -> Pairs:
    """All edges among the given pictures, comparing only those that are new; `nodes` has each pixel id's 64-bit hash.

    Pictures too flat to compare must be left out by the caller.
    """
    module, began = sys.modules[__name__], time.monotonic()
    folder = tools.workspace.table_folder("edges", fingerprint(module, Params(), hash_fingerprint))
    known = _known(folder)
    new = sorted(set(nodes) - set(known))
    names = [*known, *new]
    values = np.array([*known.values(), *(nodes[one] for one in new)], np.uint64)
    for part in cut(range(len(known), len(names)), "edges", tools):
        start, end = part[0], part[-1] + 1
        rows: list[dict[str, Any]] = [
            {"edges__hash": int(value), "edges__others": [], "edges__distances": []} for value in values[start:end]
        ]
        mine, other, distance = perceptual.neighbours(values[start:end], values[:end], distance=REACH)
        pairs = zip(mine.tolist(), other.tolist(), distance.tolist(), strict=True)
        for place, index, bits in sorted(pairs, key=lambda pair: names[pair[1]]):
            if index < start + place:
                rows[place]["edges__others"].append(names[index])
                rows[place]["edges__distances"].append(bits)
        asked = [{"pixel_id": one, "perceptual__hash": nodes[one]} for one in names[start:end]]
        commit(folder, module, requests_of(asked, KEY, READS), rows)
    shards.compact(folder)
    note(tools, "edges", computed=len(new), asked=len(nodes), began=began)
    return _pairs(folder, nodes)


def _known(folder: Path) -> dict[str, int]:
    table = shards.read(folder, ["pixel_id", "edges__hash"])
    return dict(zip(*(column.to_pylist() for column in table.columns), strict=True)) if table.num_columns else {}


def _pairs(folder: Path, nodes: Mapping[str, int]) -> Pairs:
    """The stored neighbours as pairs; told twice where a shard was lost, since its nodes are then newer than others."""
    names = sorted(nodes)
    stored = shards.read(folder, ["pixel_id", "edges__others", "edges__distances"])
    if not stored.num_columns:
        return Pairs.none(names)
    order = pa.array(names, pa.string())
    counts = pc.list_value_length(stored["edges__others"]).to_numpy()
    one = np.repeat(_places(stored["pixel_id"], order), counts)
    other = _places(pc.list_flatten(stored["edges__others"]), order)
    distance = pc.list_flatten(stored["edges__distances"]).to_numpy()
    asked = (one >= 0) & (other >= 0)
    return Pairs.of(names, one[asked], other[asked], distance[asked])


def _places(values: pa.ChunkedArray, names: pa.Array) -> NDArray[np.int32]:
    """Place of each value among the names; -1 where it is none of them."""
    return np.asarray(pc.fill_null(pc.index_in(values, names), -1).to_numpy(), np.int32)
