"""The pictures that did not go all the way: grouped by reason, the worst first, and capped."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pipeline.reporting.pictures import Album, Image
from pipeline.reporting.planted import Caught
from pipeline.reporting.record import CaptionRow, LedgerRow, Planted, RunRecord
from pipeline.reporting.words import count, number, plain

MOST_TILES = 24
"""Pictures shown of one reason."""
MOST_MISTAKES = 48
"""Pictures shown of what was missed, and of what left without need."""
MOST_GROUPS = 30
"""Reasons, or groups of duplicates, shown."""
MOST_COPIES = 8
"""Duplicates shown beside the one that was kept."""
STATES = {
    "rejected": "rejected",
    "quarantined": "could not be read",
    "dropped_by_person": "dropped by a person",
    "awaiting_review": "waiting for review",
    "forgotten": "forgotten on request",
}
"""The states that a gallery shows, in words; duplicates have a gallery of their own."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One file: its thumbnail where there is one, its name, and what was measured."""

    image: Image | None
    origin: str
    note: str

    @property
    def name(self) -> str:
        """The last part of where it came from."""
        return self.origin.rstrip("/").rsplit("/", 1)[-1] or self.origin


@dataclass(frozen=True, slots=True)
class Gallery:
    """Some of the files that share a reason."""

    title: str
    state: str
    total: int
    tiles: Sequence[Tile]
    kept: Tile | None = None
    """The picture that stands for a group of duplicates."""
    order: str = ", the worst first"

    @property
    def shown(self) -> str:
        """How many of how many are shown, or nothing where all are."""
        if len(self.tiles) == self.total:
            return ""
        return f"Showing {len(self.tiles):,} of {self.total:,}{self.order}."


def left_out(record: RunRecord, album: Album) -> list[Gallery]:
    """One gallery for each state and reason, the one with most files first."""
    groups = _grouped((row for row in record.ledger if row.state in STATES), lambda row: (row.state, row.reason))
    galleries = []
    for (state, reason), rows in groups[:MOST_GROUPS]:
        worst = sorted(rows, key=lambda row: (-badness(row), row.origin))[:MOST_TILES]
        # what was forgotten leaves a number and nothing else
        tiles = [] if state == "forgotten" else [_tile(row, album) for row in worst]
        galleries.append(Gallery(plain(reason) or STATES[state], STATES[state], len(rows), tiles))
    return galleries


def duplicates(record: RunRecord, album: Album) -> tuple[list[Gallery], int]:
    """A gallery for each picture that was kept in place of others, the most copied first; and how many there are."""
    origins = {row.sample_id: row.origin for row in record.captions}
    origins |= {row.sample_id: row.origin for row in record.ledger if row.state in ("kept", "held_out")}
    groups = _grouped((row for row in record.ledger if row.state == "duplicate"), lambda row: (row.kept_instead, ""))
    galleries = []
    for (kept_id, _), rows in groups[:MOST_GROUPS]:
        nearest = sorted(rows, key=lambda row: (_figure(row.value), row.origin))[:MOST_COPIES]
        kept = Tile(album.thumbnail(kept_id), origins.get(kept_id, kept_id[:12]), "kept")
        tiles = [_tile(row, album) for row in nearest]
        galleries.append(Gallery(count(len(rows), "duplicate"), "duplicate", len(rows), tiles, kept))
    return galleries, len(groups)


def class_pictures(record: RunRecord, album: Album) -> list[Gallery]:
    """A gallery for each caption of class pictures, which for those that the base model painted is its prompt.

    Pictures that have a caption each, as those have that people bring, share one.
    """
    rows: dict[str, list[CaptionRow]] = defaultdict(list)
    for row in sorted((row for row in record.captions if row.split == "prior"), key=lambda row: row.final):
        rows[row.final].append(row)
    alone = [found[0] for found in rows.values() if len(found) == 1]
    if len(alone) < 2:
        alone = []
    galleries = [
        _known(caption or "no caption", [(row, "") for row in found], album)
        for caption, found in rows.items()
        if len(found) > 1 or not alone
    ]
    own = [_known("each with a caption of its own", [(row, row.final) for row in alone], album)] if alone else []
    return [*galleries[:MOST_GROUPS], *own]


def _known(title: str, rows: Sequence[tuple[CaptionRow, str]], album: Album) -> Gallery:
    tiles = [Tile(album.thumbnail(row.sample_id), row.origin, note) for row, note in rows[:MOST_TILES]]
    return Gallery(title, "to be known still", len(rows), tiles, order="")


def mistakes(caught: Caught, album: Album) -> list[Gallery]:
    """The planted trouble that was missed, and the good files that left; each only where there is some."""
    return [
        Gallery(title, "", len(pairs), [_mistake(truth, row, album) for truth, row in pairs[:MOST_MISTAKES]])
        for title, pairs in (("Missed", caught.missed), ("Left without need", caught.lost))
        if pairs
    ]


def badness(row: LedgerRow) -> float:
    """How far a measured number lies beyond its limit, as a share of the limit; 0 where one of them is no number."""
    if not isinstance(row.value, int | float) or not isinstance(row.limit, int | float):
        return 0.0
    beyond = abs(row.value - row.limit) / (abs(row.limit) or 1.0)
    return beyond if math.isfinite(beyond) else math.inf


def measured(row: LedgerRow) -> str:
    """What was measured and what was wanted: `0.08, wanted at least 0.15`."""
    value = _said(row.value)
    if row.limit is None:
        return value
    limit = _said(row.limit)
    if isinstance(row.value, int | float) and isinstance(row.limit, int | float):
        side = "at least" if row.value < row.limit else "at most"
        limit = f"{side} {limit}"
    return f"{value}, wanted {limit}" if value else f"wanted {limit}"


def _said(value: float | str | None) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else number(value)


def _figure(value: float | str | None) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _mistake(truth: Planted, row: LedgerRow, album: Album) -> Tile:
    about = f"{truth.kind}{f' of {truth.of}' if truth.of else ''}{f': {truth.detail}' if truth.detail else ''}"
    return Tile(album.thumbnail(row.sample_id), row.origin, f"{about}; {plain(row.reason) or plain(row.state)}")


def _tile(row: LedgerRow, album: Album) -> Tile:
    if row.state == "duplicate":
        figures = f"{_said(row.value)} (limit {_said(row.limit)})" if row.limit is not None else _said(row.value)
        note = " ".join(filter(None, (plain(row.reason), figures)))
    else:
        note = measured(row)
    return Tile(album.thumbnail(row.sample_id), row.origin, note)


def _grouped(
    rows: Iterable[LedgerRow], key: Callable[[LedgerRow], tuple[str, str]]
) -> list[tuple[tuple[str, str], list[LedgerRow]]]:
    groups: dict[tuple[str, str], list[LedgerRow]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))
