"""Pairs of pictures that look alike, as edges (a, b, distance) between pixel ids. Deciding is left to selection.

New pictures are compared with all that were compared before and with each other, each pair once. Pictures of equal
pixels are one node. A row is stored for each node with its neighbours among the nodes before it, up to REACH, so that
a recipe's threshold can change without comparing anything again.
"""

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import BaseModel

from pipeline import shards
from pipeline.dedup import perceptual
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
Edge = tuple[str, str, int]


class Params(BaseModel, frozen=True, extra="forbid"):
    """Nothing: the distance that counts is selection's business."""


def ensure(pixel_ids: Sequence[str], hashes: Sequence[int], tools: Tools, *, hash_fingerprint: str) -> list[Edge]:
    """All edges among the given pictures, comparing only those that are new; `hashes` are 64-bit numbers.

    Pictures too flat to compare must be left out by the caller.
    """
    module, began = sys.modules[__name__], time.monotonic()
    folder = tools.workspace.table_folder("edges", fingerprint(module, Params(), hash_fingerprint))
    nodes = dict(zip(pixel_ids, hashes, strict=True))
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
    return _edges(folder, nodes)


def of_like_colours(pairs: Sequence[Edge], colours: Mapping[str, int], *, limit: int) -> list[Edge]:
    """The edges between pictures whose mean colours (`perceptual__colors` by pixel id) are at most `limit` apart.

    The hash sees no colour: a red and a blue cup in one place are neighbours to it.
    """
    one = np.array([colours[a] for a, _, _ in pairs], np.uint64)
    other = np.array([colours[b] for _, b, _ in pairs], np.uint64)
    apart = perceptual.colour_distance(one, other).tolist()
    return [pair for pair, distance in zip(pairs, apart, strict=True) if distance <= limit]


def _known(folder: Path) -> dict[str, int]:
    table = shards.read(folder, ["pixel_id", "edges__hash"])
    return dict(zip(*(column.to_pylist() for column in table.columns), strict=True)) if table.num_columns else {}


def _edges(folder: Path, nodes: Mapping[str, int]) -> list[Edge]:
    table = shards.read(folder, ["pixel_id", "edges__others", "edges__distances"])
    columns = [column.to_pylist() for column in table.columns]
    rows = {one: (others, distances) for one, others, distances in zip(*columns, strict=True) if one in nodes}
    known = {one: one for one in nodes}  # one string for each picture, however many edges it has
    return [
        (known[one], known[other], distance)
        for one, row in rows.items()
        for other, distance in zip(*row, strict=True)
        if other in nodes
    ]
