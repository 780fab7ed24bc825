"""Which pictures count as the same under a recipe: as they lie, mirrored or turned, and to CLIP."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline import stage
from pipeline.dedup import edges, embedded, exact, perceptual, turned
from pipeline.dedup.links import Linked
from pipeline.dedup.pairs import Pairs
from pipeline.duplicates import Dedup
from pipeline.fused import fingerprint_of
from pipeline.manifest import Row
from pipeline.stage import Tools
from pipeline.steps import embed

COLUMNS = perceptual.ADDS.names
"""Of samples, by which pictures are compared as they lie."""


@dataclass(frozen=True)
class Likeness:
    """What pictures are alike."""

    near: Pairs
    """What the recipe takes for the same as it lies."""
    linked: Sequence[Linked]
    """What is the same mirrored, turned, or to CLIP."""

    def table(self) -> pa.Table:
        """All of them as rows of `exact.EDGES`; between what is the same to CLIP in thousandths of a cosine."""
        rows = [
            {"a": a, "b": b, "kind": link.reason, "distance": round(link.distance * (1000 if link.level == 2 else 1))}
            for a, b, link in self.linked
        ]
        return pa.concat_tables([self.near.table(exact.EDGES), pa.Table.from_pylist(rows, schema=exact.EDGES)])


def look(samples: Sequence[Row], dedup: Dedup, tools: Tools) -> Likeness:
    """Hold pictures against each other; `samples` are those that can be decoded, with what the recipe compares by.

    Raises:
        ModelError: the CLIP is not there and cannot be had.
    """
    comparable = {row["pixel_id"]: row for row in samples if not row["perceptual__flat"]}
    pairs = edges.ensure(
        {one: row["perceptual__hash"] for one, row in comparable.items()},
        tools,
        hash_fingerprint=fingerprint_of(perceptual, perceptual.Params()),
        within=dedup.near.distance if dedup.near else -1,
    )
    colours = {one: row["perceptual__colors"] for one, row in comparable.items()}
    alike = pairs.of_like_colours(colours, limit=dedup.near.colour if dedup.near else 0)
    return Likeness(alike, [*_turned(comparable, dedup, tools), *_embedded(samples, dedup, tools)])


def _turned(comparable: dict[str, Row], dedup: Dedup, tools: Tools) -> Sequence[Linked]:
    names = sorted(comparable)
    if not (dedup.near and turned.asked(dedup.near) and names):
        return ()
    rows = [comparable[one] for one in names]
    hashes, colours = (np.array([row[name] for row in rows], np.uint64) for name in COLUMNS[:2])
    lying = np.array([row["turned__hashes"] for row in rows], np.uint64)
    return list(turned.pairs(names, hashes, lying, colours, dedup.near, threads=tools.workers))


def _embedded(samples: Sequence[Row], dedup: Dedup, tools: Tools) -> Sequence[Linked]:
    alike, first = dedup.embedding, {row["pixel_id"]: row["sample_id"] for row in reversed(samples)}
    if alike is None or not first:
        return ()
    params = embed.Params(clip=alike.clip, revision=alike.revision)
    rows = [{"sample_id": first[one]} for one in sorted(first)]
    stored = stage.ensure(
        embed, rows, params, tools, weights=embed.weights(params, field="dedup.embedding.clip")
    ).table()
    seen = [
        (one, vector) for one, vector in zip(sorted(first), stored["embed__vector"].to_pylist(), strict=True) if vector
    ]
    vectors = np.array([vector for _, vector in seen], np.float32)
    return list(embedded.pairs([one for one, _ in seen], vectors, alike.similarity)) if seen else ()
