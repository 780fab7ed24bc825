"""From a reviewed table to decisions: what would change, and what was overtaken since the file was written.

Each caption is merged three ways: what stood at the export (the `proposed` cell), what the person made of it (the
`caption` cell), and what stands now. An untouched cell changes nothing, whatever happened meanwhile; an edit of what
still stands is taken; an edit of what has changed meanwhile is *stale*: shown, and refused unless forced.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pipeline.errors import ReviewError
from pipeline.review import journal
from pipeline.review.journal import Decision
from pipeline.review.problems import Problems
from pipeline.review.rows import ReviewRow
from pipeline.review.table import EditedRow

Kind = Literal["edited", "accepted", "kept", "dropped"]
KINDS: tuple[Kind, ...] = ("edited", "accepted", "kept", "dropped")
SHOWN = 20


@dataclass(frozen=True, slots=True)
class Change:
    """One picture's change: the caption's body before and after, and the decision that makes it so."""

    line: int
    origin: str
    kinds: tuple[Kind, ...]
    old: str
    new: str
    decision: Decision


@dataclass(frozen=True, slots=True)
class Changes:
    """What a reviewed table would do: what is taken, what is stale, and how many rows change nothing."""

    fresh: tuple[Change, ...]
    stale: tuple[Change, ...]
    unchanged: int

    @property
    def decisions(self) -> list[Decision]:
        """The decisions to append, those of stale rows left out."""
        return [change.decision for change in self.fresh]

    def count(self, kind: Kind) -> int:
        """How many pictures are edited, accepted, kept or dropped; an edited one may be kept or dropped as well."""
        return sum(kind in change.kinds for change in self.fresh)


def changes(
    rows: Sequence[ReviewRow],
    edited: Iterable[EditedRow],
    *,
    reviewer: str,
    at: str,
    accept_rest: bool = False,
    name: str = "the reviewed table",
) -> Changes:
    """Compare what came back with what stands now (`rows`, every picture in review); writes nothing.

    An edited caption counts as accepted. `accept` takes the caption as it is, `keep` keeps the picture whatever the
    rules say and takes its caption too, `drop` leaves the picture out. A blank decision with an unedited caption
    decides nothing; with `accept_rest` such rows, where still undecided, are accepted and recorded as unread.
    `reviewer` and `at` (UTC, ISO 8601; see `journal.now`) go into the decisions, `name` into messages.

    Raises:
        ReviewError: a sample_id is not among rows, a caption was emptied, there is no caption to accept, or two rows
            of one picture say different things. All such cells are named, up to 20 in full.
    """
    standing = {row.sample_id: row for row in rows}
    problems = Problems(name)
    fresh: dict[str, Change] = {}
    stale: list[Change] = []
    unchanged = 0
    for got in edited:
        row = standing.get(got.sample_id)
        if row is None:
            _unknown(got, standing, problems)
            continue
        change = _change(row, got, problems, reviewer=reviewer, at=at, accept_rest=accept_rest)
        if change is None:
            unchanged += 1
        elif _overtaken(row, got, change):
            stale.append(change)
        else:
            earlier = fresh.setdefault(row.pixel_id, change)
            if replace(earlier.decision, proposed=None) != replace(change.decision, proposed=None):
                problems.add(
                    f"the same picture as row {earlier.line}, decided otherwise",
                    cell=f"row {got.line}, column caption",
                    value=change.new,
                    remedy="Make the two alike or delete one.",
                )
    problems.raise_if_any()
    return Changes(tuple(fresh.values()), tuple(stale), unchanged)


def render(found: Changes) -> str:
    """Tell what would change, old and new captions beneath each other, the first 20 of each sort in full."""
    tally = ", ".join(f"{found.count(kind)} {kind}" for kind in KINDS)
    lines = [f"{tally}; {found.unchanged} unchanged, {len(found.stale)} stale"]
    for title, some in (("", found.fresh), ("Stale: changed here since the file was exported", found.stale)):
        lines += [title] if title and some else []
        for change in some[:SHOWN]:
            lines.append(f"{change.origin}: {' and '.join(change.kinds)}")
            if change.old != change.new:
                lines += [f"  - {_line(change.old)}", f"  + {_line(change.new)}"]
        if len(some) > SHOWN:
            lines.append(f"and {len(some) - SHOWN} more")
    return "\n".join(lines)


def apply(found: Changes, folder: Path, *, force: bool = False) -> int:
    """Append the decisions to the journals in `folder`, all of them or none; returns how many.

    Raises:
        ReviewError: some changes are stale and `force` is False.
        WorkspaceError: the journal cannot be written.
    """
    if found.stale and not force:
        first = found.stale[0]
        raise ReviewError(
            f"{len(found.stale)} captions have changed here since the file was exported; nothing was applied. "
            f"Here stands {first.old!r}",
            field=f"row {first.line}, column caption ({first.origin})",
            value=first.new,
            remedy="Export again and repeat these edits, or force them.",
        )
    stale = [change.decision for change in found.stale] if force else []
    return journal.append(folder, found.decisions + stale)


def _unknown(got: EditedRow, standing: dict[str, ReviewRow], problems: Problems) -> None:
    start = got.sample_id[:8]  # 32 bits of a hash: no two pictures share them by chance
    near = next((known for known in standing if len(start) == 8 and known.startswith(start)), None)
    problems.add(
        "no picture in review has this id" if got.sample_id else "the id is blank",
        cell=f"row {got.line}, column sample_id",
        value=got.sample_id or None,
        remedy=(f"Did you mean {near}? " if near else "") + "Restore the id, delete the row, or export again.",
    )


def _change(
    row: ReviewRow, got: EditedRow, problems: Problems, *, reviewer: str, at: str, accept_rest: bool
) -> Change | None:
    """The change that a row asks for, or None where all of it stands already."""
    cell, proposed, body = f"row {got.line}, column caption", _plain(got.proposed), _plain(got.caption)
    stands = _plain(row.caption)
    drops = got.decision == "drop"
    if not body and proposed and not drops:
        problems.add("was emptied", cell=cell, remedy="Write a caption, or write drop to leave the picture out.")
        return None
    if not body and got.decision == "accept":
        problems.add("there is no caption to accept", cell=cell, remedy="Write one, or write keep or drop.")
        return None
    if proposed != stands and body == stands and row.source != "person":
        problems.add(
            "was changed, or the file belongs to another export",
            cell=f"row {got.line}, column proposed",
            value=proposed,
            remedy="Write captions into the column caption; export again if this is the right column.",
        )
        return None
    is_edit = bool(body) and body != proposed
    is_rest = accept_rest and not row.decided and not got.decision and not is_edit
    # of what has changed meanwhile, only an edit or an explicit word for the caption is taken as meant
    takes = is_edit or got.decision == "accept" or (proposed == stands and (is_rest or got.decision == "keep"))
    is_told = body == stands and row.source == "person" and row.read
    caption = body if takes and body and not is_told else None
    verdict = got.decision if got.decision in ("keep", "drop") and got.decision != row.verdict else None
    if caption is None and verdict is None:
        return None
    kinds: list[Kind] = []
    if caption is not None:
        kinds.append("edited" if caption != stands else "accepted")
    if verdict is not None:
        kinds.append("kept" if verdict == "keep" else "dropped")
    decision = Decision(
        pixel_id=row.pixel_id,
        reviewer=reviewer,
        at=at,
        verdict=verdict,
        caption=caption,
        read=not is_rest,
        proposed=row.proposed,
    )
    return Change(
        got.line, row.origin, tuple(kinds), row.caption, row.caption if caption is None else caption, decision
    )


def _overtaken(row: ReviewRow, got: EditedRow, change: Change) -> bool:
    """Whether the change would put a caption over one that the person has not seen."""
    new = change.decision.caption
    return new is not None and new != _plain(row.caption) and _plain(got.proposed) != _plain(row.caption)


def _plain(text: str) -> str:
    """A text as captions are compared: spreadsheets trade CR LF for LF, and nobody sees white space at the ends."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def _line(text: str) -> str:
    shown = " ".join(text.split())
    return shown if len(shown) <= 200 else shown[:197] + "..."
