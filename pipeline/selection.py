"""The one place where pictures leave: rights, then persons, then quality, then the best of each duplicate group.

Everything here is a pure function of tables that are already there, so another threshold is another query.
"""

import hashlib
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from pipeline.dedup import turned
from pipeline.dedup.groups import beside, components
from pipeline.dedup.links import Linked, Links, gathered, within
from pipeline.dedup.pairs import Edge
from pipeline.duplicates import Dedup
from pipeline.errors import RecipeError
from pipeline.manifest import Row, by
from pipeline.settings import Allow, Limit, Split


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
    """Number of its duplicate group, by which the split goes; it means nothing in another run."""
    split: str = "train"


@dataclass(frozen=True)
class Selection:
    """What became of every origin, the pictures that go on, and those that people dropped (for review to show)."""

    ledger: list[Row]
    kept: list[Kept]
    dropped: list[Kept]


def columns(rules: Mapping[str, Limit], dedup: Dedup) -> list[str]:
    """Columns of samples that `select` reads under these rules."""
    order = [column.removeprefix("-") for column in dedup.order]
    lying = turned.ADDS.names if turned.asked(dedup.near) else []
    return list(dict.fromkeys(["sample_id", "pixel_id", "error", *order, *rules, *lying]))


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
    priors: Collection[int] = (),
    forgotten: Mapping[str, str] = MappingProxyType({}),
    apart: Collection[frozenset[str]] = (),
    linked: Iterable[Linked] = (),
    accepted: Mapping[str, str] = MappingProxyType({}),
) -> Selection:
    """Decide about every origin.

    Args:
        origins: rows of `manifest.ORIGINS`.
        samples: one row a sample with at least `columns(rules, dedup)`.
        edges: pairs of pixel ids that look alike as they lie, with their distance; each pair once.
        verdicts: pixel id -> "keep" or "drop", as people said.
        rights: the licences that are allowed.
        rules: limits by column, in the recipe's order; the first one that fails names the reason.
        dedup: which distance makes a near-duplicate, and which of them is kept.
        split: what is held out.
        priors: positions of the sources with class pictures, which are a split of their own.
        forgotten: why a picture is taken for one that was forgotten, by pixel id.
        apart: pairs of pixel ids that people keep beside each other. They stay on one side of the split.
        linked: pairs that count as the same for other reasons: mirrored, turned, or alike to CLIP.
        accepted: pixel id -> sample id of what earlier runs kept, which is kept in place of all that is like it.

    Raises:
        RecipeError: a rule is about a column of text.
    """
    measured = by(samples, "sample_id")
    near = gathered([*(within(edges, dedup.near.distance) if dedup.near else ()), *linked])
    ledger: dict[str, Row] = {}
    eligible: dict[str, list[Row]] = defaultdict(list)
    dropped: dict[str, list[Row]] = defaultdict(list)
    for origin in sorted(origins, key=lambda row: row["origin"]):
        again = forgotten.get(measured.get(origin["sample_id"], {}).get("pixel_id") or "")
        leaves = _row(origin, "forgotten", "ingest", again) if again else None
        if out := leaves or _leaves_alone(origin, measured, verdicts, rights, rules):
            ledger[origin["origin"]] = out
            if out["state"] == "dropped_by_person":
                dropped[origin["sample_id"]].append(origin)
        else:
            eligible[origin["sample_id"]].append(origin)
    groups = components([*accepted, *(row["pixel_id"] for row in samples if not row["error"])], near)
    samples_left = [measured[one] for one in eligible]
    members, gone = _best(samples_left, eligible, near, verdicts, order=dedup.order, apart=apart, accepted=accepted)
    for sample_id, (reason, value, limit, instead) in gone.items():
        told = reason if instead in members else f"{reason} (accepted before)"
        for origin in eligible[sample_id]:
            ledger[origin["origin"]] = _row(origin, "duplicate", "dedup", told, value, limit, instead)
    attached = {
        one: [origin for each in (one, *others) for origin in eligible[each]] for one, others in members.items()
    }
    kept = [_kept(measured[one], attached[one], groups) for one in sorted(attached)]
    kept_beside = beside(near, apart, {one.pixel_id for one in kept})
    kept = _as_told(_split(kept, groups, split))
    kept = [replace(one, split="prior") if one.origins[0]["source"] in priors else one for one in kept]
    for one in kept:
        first, *twins = eligible[one.sample_id]
        ledger[first["origin"]] = _row(first, "held_out" if one.split == "held_out" else "kept")
        if one.pixel_id in kept_beside:
            value = kept_beside[one.pixel_id].value
            ledger[first["origin"]] |= {"reason": "kept beside a look-alike by a person", "value": value}
        for twin in twins:
            ledger[twin["origin"]] = _row(twin, "duplicate", "dedup", "same bytes", None, None, one.sample_id)
    return Selection(
        ledger=[ledger[name] for name in sorted(ledger)],
        kept=kept,
        dropped=[_kept(measured[one], dropped[one], groups) for one in sorted(dropped)],
    )


def _leaves_alone(
    origin: Row, measured: Mapping[str, Row], verdicts: Mapping[str, str], rights: Allow, rules: Mapping[str, Limit]
) -> Row | None:
    """The ledger row of an origin that leaves for its own sake, whatever else came in."""
    if origin.get("mask_of"):
        return _row(origin, "mask", "ingest", "mask of a picture", origin["mask_of"])
    error = origin["error"] or measured[origin["sample_id"]]["error"]
    if error:
        reason, _, detail = error.partition(": ")
        state = "forgotten" if reason == "forgotten" else "quarantined"
        return _row(origin, state, "ingest", reason, detail)
    sample = measured[origin["sample_id"]]
    license_ = origin["license"]
    if license_ is None and rights.unknown == "reject":
        return _row(origin, "rejected", "rights", "licence unknown", None, ", ".join(rights.allow) or "none allowed")
    if license_ is not None and license_ not in rights.allow:
        return _row(origin, "rejected", "rights", "licence not allowed", license_, ", ".join(rights.allow))
    if origin.get("ai_optout"):
        return _row(origin, "rejected", "rights", "training objected to", origin["optout_source"] or "by its source")
    verdict = verdicts.get(sample["pixel_id"])
    if verdict == "drop":
        return _row(origin, "dropped_by_person", "person", "dropped in review")
    if verdict == "keep":
        return None
    for column, limit in rules.items():
        failed = _failed(column, sample[column], limit)
        if failed:
            return _row(origin, "rejected", "quality", *failed)
    return None


def _failed(column: str, value: object, limit: Limit) -> tuple[str, str | None, str | None] | None:
    """Reason, value and limit where a value is outside; a value that is not there is outside, too."""
    if isinstance(value, str | list):
        raise RecipeError(
            "a limit needs a column of numbers",
            field=f"select.{column}",
            value=value,
            remedy="`gesso list scorers` shows the columns.",
        )
    number = _number(value)
    if math.isnan(number):
        return f"{column} not measured", None, None
    if limit.min is not None and number < limit.min:
        return f"{column} too low", _short(number), _short(limit.min)
    if limit.max is not None and number > limit.max:
        return f"{column} too high", _short(number), _short(limit.max)
    return None


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _best(
    samples: Sequence[Row],
    origins: Mapping[str, Sequence[Row]],
    near: Links,
    verdicts: Mapping[str, str],
    *,
    order: Sequence[str],
    apart: Collection[frozenset[str]],
    accepted: Mapping[str, str],
) -> tuple[dict[str, list[str]], dict[str, tuple[str, str, str | None, str]]]:
    """The samples kept, each with its duplicates; and of each duplicate reason, value, limit and what was kept instead.

    Best first: each picture in turn is kept unless it is close to one kept already, so that every member of a group
    is close to the one kept and groups do not chain. What was accepted before is kept already.
    """

    def rank(sample: Row) -> tuple[object, ...]:
        measured = [_number(sample[one.removeprefix("-")]) * (-1 if one.startswith("-") else 1) for one in order]
        return (
            verdicts.get(sample["pixel_id"]) != "keep",
            *(math.inf if math.isnan(value) else -value for value in measured),
            not any(origin["sidecar"] for origin in origins[sample["sample_id"]]),
            sample["sample_id"],
        )

    keepers = dict(accepted)
    members: dict[str, list[str]] = {}
    gone: dict[str, tuple[str, str, str | None, str]] = {}
    for sample in sorted(samples, key=rank):
        pixel_id, sample_id = sample["pixel_id"], sample["sample_id"]
        alike = [other for other in near.get(pixel_id, {}) if frozenset((pixel_id, other)) not in apart]
        close = sorted((near[pixel_id][other], other) for other in alike if other in keepers)
        if pixel_id in keepers:
            gone[sample_id] = ("same pixels", "0", None, keepers[pixel_id])
        elif close and verdicts.get(pixel_id) != "keep":
            link, other = close[0]
            gone[sample_id] = (link.reason, link.value, link.limit, keepers[other])
        else:
            keepers[pixel_id] = sample_id
            members[sample_id] = []
    for sample_id, (*_, instead) in gone.items():
        if instead in members:
            members[instead].append(sample_id)
    return members, gone


def _kept(sample: Row, origins: Sequence[Row], groups: Mapping[str, int]) -> Kept:
    return Kept(
        sample_id=sample["sample_id"],
        pixel_id=sample["pixel_id"],
        origins=tuple(origins),
        sidecar=next((origin["sidecar"] for origin in origins if origin["sidecar"]), None),
        group=groups[sample["pixel_id"]],
    )


def _split(kept: Sequence[Kept], groups: Mapping[str, int], split: Split) -> list[Kept]:
    """Hold out whole groups: those with a member whose own hash falls below the share.

    Every picture that could be decoded counts as a member, also one that gave way or was rejected: a group's verdict
    never changes back as it grows or as rules change, and where two merge held-out wins. By pixel ids, so that a
    re-encoded twin of equal pixels stays on its side.
    """
    if len({one.group for one in kept}) < split.min_groups:
        return list(kept)
    chosen = {group for one, group in groups.items() if _fraction(f"{split.seed}/{one}") < split.held_out}
    return [replace(one, split="held_out") if one.group in chosen else one for one in kept]


def _as_told(kept: Sequence[Kept]) -> list[Kept]:
    """The split that a set brought along where it was decided before, for whole groups: where both, held-out wins."""
    told: dict[int, set[str]] = defaultdict(set)
    own = {one.sample_id: {split for origin in one.origins if (split := origin.get("split"))} for one in kept}
    if not any(own.values()):
        return list(kept)
    for one in kept:
        told[one.group] |= own[one.sample_id]

    def split_of(one: Kept) -> str:
        mine = "prior" if "prior" in own[one.sample_id] else "train" if told[one.group] else one.split
        return "held_out" if "held_out" in told[one.group] else mine

    return [replace(one, split=split_of(one)) for one in kept]


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
