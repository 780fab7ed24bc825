"""The one place where pictures leave: rights, then persons, then quality, then the best of each duplicate group.

Everything here is a pure function of tables that are already there, so another threshold is another query.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipeline.dedup.edges import Edge
from pipeline.manifest import Row, by
from pipeline.settings import Allow, Dedup, Limit, Split


@dataclass(frozen=True)
class Kept:
    """A picture that goes on, with what stayed attached to it from its duplicates."""

    sample_id: str
    pixel_id: str
    origins: tuple[Row, ...]
    """Eligible origins, its own first, then those of its duplicates: the ones to attribute."""
    sidecar: str | None
    """Its own caption from beside a file, else that of a duplicate."""
    group: int
    """Number of its duplicate group, for the split."""
    split: str = "train"
    measured: Row = field(default_factory=dict)


@dataclass(frozen=True)
class Selection:
    """What became of every origin, the pictures that go on, and those that people dropped (for review to show)."""

    ledger: list[Row]
    kept: list[Kept]
    dropped: list[Kept]


def select(
    origins: Sequence[Row],
    samples: Sequence[Row],
    edges: Iterable[Edge],
    verdicts: Mapping[str, str],
    *,
    rights: Allow,
    rules: Mapping[str, Limit],
    dedup: Dedup,
    split: Split,
) -> Selection:
    """Decide about every origin.

    Args:
        origins: rows of `manifest.ORIGINS`.
        samples: one row a sample with all measured columns, `pixel_id` and `error`.
        edges: pairs of pixel ids that look alike, with their distance.
        verdicts: pixel id -> "keep" or "drop", as people said.
        rights: the licences that are allowed.
        rules: limits by column, in the recipe's order; the first one that fails names the reason.
        dedup: which distance makes a near-duplicate.
        split: what is held out.
    """
    measured = by(samples, "sample_id")
    ledger: dict[str, Row] = {}
    eligible: dict[str, list[Row]] = defaultdict(list)
    dropped: dict[str, Kept] = {}
    for origin in sorted(origins, key=lambda row: row["origin"]):
        out = _leaves_alone(origin, measured, verdicts, rights, rules)
        if out:
            ledger[origin["origin"]] = out
            if out["state"] == "dropped_by_person":
                sample = measured[origin["sample_id"]]
                dropped[sample["sample_id"]] = Kept(
                    sample["sample_id"], sample["pixel_id"], (origin,), origin["sidecar"], group=-1, measured=sample
                )
        else:
            eligible[origin["sample_id"]].append(origin)
    kept, gone = _best([measured[one] for one in eligible], eligible, edges, verdicts, dedup)
    for sample_id, (reason, distance, instead) in gone.items():
        limit = str(dedup.near.distance) if dedup.near and reason == "looks alike" else None
        for origin in eligible[sample_id]:
            ledger[origin["origin"]] = _row(origin, "duplicate", "dedup", reason, distance, limit, instead)
    kept = _split(kept, split)
    for one in kept:
        first, *twins = eligible[one.sample_id]
        ledger[first["origin"]] = _row(first, "held_out" if one.split == "held_out" else "kept")
        for twin in twins:
            ledger[twin["origin"]] = _row(twin, "duplicate", "dedup", "same bytes", None, None, one.sample_id)
    return Selection([ledger[name] for name in sorted(ledger)], kept, list(dropped.values()))


def _leaves_alone(
    origin: Row, measured: Mapping[str, Row], verdicts: Mapping[str, str], rights: Allow, rules: Mapping[str, Limit]
) -> Row | None:
    """The ledger row of an origin that leaves for its own sake, whatever else came in."""
    error = origin["error"] or measured[origin["sample_id"]]["error"]
    if error:
        reason, _, detail = error.partition(": ")
        return _row(origin, "quarantined", "ingest", reason, detail)
    sample = measured[origin["sample_id"]]
    license_ = origin["license"]
    if license_ is None and rights.unknown == "reject":
        return _row(origin, "rejected", "rights", "licence unknown", None, ", ".join(rights.allow) or "none allowed")
    if license_ is not None and license_ not in rights.allow:
        return _row(origin, "rejected", "rights", "licence not allowed", license_, ", ".join(rights.allow))
    verdict = verdicts.get(sample["pixel_id"])
    if verdict == "drop":
        return _row(origin, "dropped_by_person", "person", "dropped in review")
    if verdict == "keep":
        return None
    for column, limit in rules.items():
        value = sample[column]
        if limit.min is not None and value < limit.min:
            return _row(origin, "rejected", "quality", f"{column} too low", _short(value), _short(limit.min))
        if limit.max is not None and value > limit.max:
            return _row(origin, "rejected", "quality", f"{column} too high", _short(value), _short(limit.max))
    return None


def _best(
    samples: Sequence[Row],
    origins: Mapping[str, Sequence[Row]],
    edges: Iterable[Edge],
    verdicts: Mapping[str, str],
    dedup: Dedup,
) -> tuple[list[Kept], dict[str, tuple[str, str | None, str]]]:
    """The pictures kept, and for each other one why, how far, and which was kept instead.

    Best first: each picture in turn is kept unless it is close to one kept already, so that every member of a group
    is close to the one kept and groups do not chain.
    """

    def rank(sample: Row) -> tuple[object, ...]:
        chosen = verdicts.get(sample["pixel_id"]) == "keep"
        captioned = any(origin["sidecar"] for origin in origins[sample["sample_id"]])
        return (
            not chosen,
            -sample["resolution__megapixels"],
            -sample["sharpness__score"],
            not captioned,
            sample["sample_id"],
        )

    near: dict[str, dict[str, int]] = defaultdict(dict)
    if dedup.near:
        for a, b, distance in edges:
            if distance <= dedup.near.distance:
                near[a][b] = near[b][a] = distance
    keepers: dict[str, str] = {}
    members: dict[str, list[str]] = {}
    gone: dict[str, tuple[str, str | None, str]] = {}
    for sample in sorted(samples, key=rank):
        pixel_id, sample_id = sample["pixel_id"], sample["sample_id"]
        close = sorted((d, other) for other, d in near[pixel_id].items() if other in keepers)
        if pixel_id in keepers:
            gone[sample_id] = ("same pixels", "0", keepers[pixel_id])
        elif close and verdicts.get(pixel_id) != "keep":
            gone[sample_id] = ("looks alike", str(close[0][0]), keepers[close[0][1]])
        else:
            keepers[pixel_id] = sample_id
            members[sample_id] = []
            continue
        members[gone[sample_id][2]].append(sample_id)
    groups = _components([sample["pixel_id"] for sample in samples], near)
    by_id = by(samples, "sample_id")
    kept = []
    for sample_id, others in sorted(members.items()):
        attached = [origin for one in (sample_id, *others) for origin in origins[one]]
        kept.append(
            Kept(
                sample_id=sample_id,
                pixel_id=by_id[sample_id]["pixel_id"],
                origins=tuple(attached),
                sidecar=next((origin["sidecar"] for origin in attached if origin["sidecar"]), None),
                group=groups[by_id[sample_id]["pixel_id"]],
                measured=by_id[sample_id],
            )
        )
    return kept, gone


def _components(pixel_ids: Sequence[str], near: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    places = {one: place for place, one in enumerate(dict.fromkeys(pixel_ids))}
    pairs = [(places[a], places[b]) for a, others in near.items() for b in others if a in places and b in places]
    ends = np.array(pairs, np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(ends), bool), (ends[:, 0], ends[:, 1])), shape=(len(places), len(places)))
    _, labels = connected_components(graph, directed=False)
    return {one: int(labels[place]) for one, place in places.items()}


def _split(kept: Sequence[Kept], split: Split) -> list[Kept]:
    """Hold out whole groups: those with a member whose own hash falls below the share.

    A group's verdict never changes back as it grows, and where two merge held-out wins.
    """
    chosen = {
        one.group for one in kept if _fraction(f"{split.seed}/{one.pixel_id}") < split.held_out
    }  # pixel ids, so that a re-encoded twin of equal pixels stays on its side
    if len({one.group for one in kept}) < split.min_groups:
        chosen = set()
    return [replace(one, split="held_out" if one.group in chosen else "train") for one in kept]


def _fraction(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) / 2**64


def _short(value: float) -> str:
    return f"{value:.4g}"


def _row(
    origin: Row,
    state: str,
    stage: str | None = None,
    reason: str | None = None,
    value: str | None = None,
    limit: str | None = None,
    kept_instead: str | None = None,
) -> Row:
    return {
        "origin": origin["origin"],
        "sample_id": origin["sample_id"],
        "state": state,
        "stage": stage,
        "reason": reason,
        "value": value,
        "limit": limit,
        "kept_instead": kept_instead,
    }
