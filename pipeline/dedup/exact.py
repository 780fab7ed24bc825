"""Exact duplicates as edges: places that hold the same bytes, and contents that are the same pixels.

Equality is transitive, so each group is a star around its first member: n members make n - 1 edges, not n squared.
"""

from collections.abc import Iterable, Sequence

import pyarrow as pa

from pipeline.manifest import Row

_NAME = pa.dictionary(pa.int32(), pa.string())
"""A text as its place in a list: there may be very many edges among few pictures."""
EDGES = pa.schema(
    [
        ("a", _NAME),
        ("b", _NAME),
        ("kind", _NAME),  # bytes (between origins), pixels (sample ids) or perceptual (pixel ids)
        ("distance", pa.int32()),  # bits of 64 that differ; 0 where the two are the same
    ]
)


def of_bytes(origins: Sequence[Row]) -> list[Row]:
    """Edges between places (`origin`) of the same `sample_id`; what could not be read has none."""
    return _stars(((row["sample_id"], row["origin"]) for row in origins), "bytes")


def of_pixels(samples: Sequence[Row]) -> list[Row]:
    """Edges between contents (`sample_id`) of the same `pixel_id`; what is no picture has none."""
    return _stars(((row["pixel_id"], row["sample_id"]) for row in samples if not row["error"]), "pixels")


def _stars(members: Iterable[tuple[str | None, str]], kind: str) -> list[Row]:
    first: dict[str, str] = {}
    found: list[Row] = []
    for same, name in sorted((same, name) for same, name in members if same):
        centre = first.setdefault(same, name)
        if centre != name:
            found.append({"a": centre, "b": name, "kind": kind, "distance": 0})
    return found
