"""From a reviewed table to decisions: what would change, and what was overtaken since the file was written.

Each caption and each verdict is merged three ways: what stood at the export (the version in `base`), what the person
made of it, and what stands now. An untouched cell changes nothing, whatever happened meanwhile; an edit of what still
stands is taken; the same edit by two is agreement; an edit of what has changed meanwhile is a *conflict*: shown, and
refused unless it is set aside for a person (conflicts.py) or forced.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pipeline.errors import ReviewError
from pipeline.review import damage, intent, journal
from pipeline.review.intent import Intent
from pipeline.review.journal import Decision, Journal, Verdict
from pipeline.review.merge import merge
from pipeline.review.problems import Problems
from pipeline.review.rows import ReviewRow
from pipeline.review.table import EditedRow
from pipeline.review.versions import plain

Kind = Literal["edited", "accepted", "kept", "dropped", "unsure", "noted"]
KINDS: tuple[Kind, ...] = ("edited", "accepted", "kept", "dropped", "unsure", "noted")
_VERDICTS: dict[Verdict, Kind] = {"keep": "kept", "drop": "dropped", "unsure": "unsure"}


@dataclass(frozen=True, slots=True)
class Change:
    """One picture's change: the caption's body as it stands and as it would, and the decision that makes it so.

    `seen` and `seen_verdict` are what its reader saw; they differ from what stands where that changed meanwhile.
    """

    line: int
    row: ReviewRow
    kinds: tuple[Kind, ...]
    seen: str
    seen_verdict: Verdict | None
    decision: Decision

    @property
    def old(self) -> str:
        """The caption that stands."""
        return self.row.caption

    @property
    def new(self) -> str:
        """The caption that would stand."""
        return self.row.caption if self.decision.caption is None else self.decision.caption


@dataclass(frozen=True, slots=True)
class Changes:
    """What a reviewed table would do: what is taken, what conflicts, and how many rows change nothing.

    `repaired` are rows that a program had changed in ways that could be undone, with what it did; `cosmetic` those
    whose caption differs in spaces, quotes or dashes alone; `absent` counts the pictures that are not in the file.
    """

    fresh: tuple[Change, ...]
    conflicts: tuple[Change, ...]
    unchanged: int
    repaired: tuple[tuple[int, str], ...] = ()
    cosmetic: tuple[int, ...] = ()
    absent: int = 0

    @property
    def decisions(self) -> list[Decision]:
        """The decisions to append, those in conflict left out."""
        return [change.decision for change in self.fresh]

    def count(self, kind: Kind) -> int:
        """How many pictures are edited, accepted, kept and so on; an edited one may be kept or dropped as well."""
        return sum(kind in change.kinds for change in self.fresh)


@dataclass(frozen=True, slots=True)
class Applying:
    """Who applies a file, when (UTC, ISO 8601; see `journal.now`) and how.

    `reviewer` decides where a row names nobody, and in all rows with `override`. With `accept_rest` captions that were
    left blank, where still undecided, are accepted and recorded as unread. With `as_is` captions that look like a
    program's work are taken letter by letter. Pictures in `contested` (pixel_ids) wait for a person between two
    decisions: there a word that says what stands already ends that.
    """

    reviewer: str
    at: str
    override: bool = False
    accept_rest: bool = False
    as_is: bool = False
    contested: Collection[str] = ()

    def who(self, got: EditedRow) -> str:
        """Who decided a row."""
        return self.reviewer if self.override or not got.reviewer else got.reviewer


def changes(
    rows: Sequence[ReviewRow],
    edited: Iterable[EditedRow],
    said: Journal,
    how: Applying,
    *,
    name: str = "the reviewed table",
) -> Changes:
    """Compare what came back with what stands now (`rows`, every picture in review); writes nothing.

    An edited caption counts as accepted. `accept` takes the caption as it is, `keep` keeps the picture whatever the
    rules say and takes its caption too, `drop` leaves the picture out, `unsure` leaves it to someone else. A blank
    decision with an unedited caption decides nothing. `said` is what was decided so far; `name` goes into messages.

    Raises:
        ReviewError: an id is not among rows, a row's cells do not belong together, a caption was emptied or looks like
            a program's work, there is no caption to accept, or two rows of one picture say different things. All
            such cells are named, up to 20 in full.
    """
    standing = {row.id: row for row in rows}
    own = said.of_each()
    known: dict[str, dict[str, None]] = {}
    notes: dict[str, dict[str, None]] = {}
    for told in said.decisions:
        known.setdefault(told.pixel_id, {}).update(dict.fromkeys(filter(None, (told.caption, told.proposed))))
        notes.setdefault(told.pixel_id, {}).update(dict.fromkeys(filter(None, [told.note])))
    problems = Problems(name)
    meant: list[Intent] = []
    there: set[str] = set()
    for got in edited:
        row = standing.get(got.id)
        if row is None:
            _unknown(got, standing, problems)
            continue
        there.add(got.id)
        read = intent.read(got, row, known.get(row.pixel_id, {}), problems, as_is=how.as_is)
        meant += [read] if read else []
    _check_moved(meant, problems, how)
    fresh: dict[str, Change] = {}
    conflicts: list[Change] = []
    unchanged = 0
    for one in meant:
        who = _checked(how.who(one.got), one.got, problems)
        mine = own.get(who, {}).get(one.row.pixel_id)
        taken, overtaken = _change(one, mine, notes.get(one.row.pixel_id, {}), problems, who=who, how=how)
        unchanged += taken is None and overtaken is None
        conflicts += [overtaken] if overtaken else []
        if taken is None:
            continue
        earlier = fresh.setdefault(one.row.pixel_id, taken)
        if _said(earlier.decision) != _said(taken.decision):
            problems.add(
                f"the same picture as row {earlier.line}, decided otherwise",
                cell=f"row {one.got.line}, column caption",
                value=taken.new,
                remedy="Make the two alike or delete one.",
            )
    problems.raise_if_any()
    return Changes(
        fresh=tuple(fresh.values()),
        conflicts=tuple(conflicts),
        unchanged=unchanged,
        repaired=tuple((one.got.line, one.repaired) for one in meant if one.repaired),
        cosmetic=tuple(one.got.line for one in meant if one.cosmetic),
        absent=len(standing.keys() - there),
    )


def check(found: Changes, *, force: bool = False) -> None:
    """Make sure that all of it may be applied.

    Raises:
        ReviewError: some are in conflict and `force` is False.
    """
    if found.conflicts and not force:
        first = found.conflicts[0]
        raise ReviewError(
            f"{len(found.conflicts)} pictures were decided otherwise here since the file was exported; nothing was "
            f"applied. Here stands {first.row.verdict or first.old!r}",
            field=f"row {first.line} ({first.row.origin})",
            value=first.decision.caption or first.decision.verdict,
            remedy="Set them aside with --conflicts FILE and decide there, or put these over the others with --force.",
        )


def apply(found: Changes, folder: Path, *, batch: str, force: bool = False) -> int:
    """Append the decisions to the journals in `folder` as one batch, all of them or none; returns how many.

    Raises:
        ReviewError: some are in conflict and `force` is False.
        WorkspaceError: a journal cannot be written.
    """
    check(found, force=force)
    forced = [change.decision for change in found.conflicts] if force else []
    return journal.append(folder, journal.together(found.decisions + forced, batch))


def _said(decision: Decision) -> tuple[str | None, ...]:
    return decision.caption, decision.verdict, decision.note


def _unknown(got: EditedRow, standing: Mapping[str, ReviewRow], problems: Problems) -> None:
    start = got.id[:10]  # 32 bits of a hash: no two pictures share them by chance
    near = next((known for known in standing if len(start) == 10 and known.startswith(start)), None)
    problems.add(
        "no picture in review has this id" if got.id else "the id is blank",
        cell=f"row {got.line}, column id",
        value=got.id or None,
        remedy=(f"Did you mean {near}? " if near else "") + "Restore the id, delete the row, or export again.",
    )


def _check_moved(meant: Sequence[Intent], problems: Problems, how: Applying) -> None:
    found = [] if how.as_is else intent.moved(meant)
    for one, other in found:
        problems.add(
            f"is the caption that row {other.got.line} had: was this column sorted or moved?",
            cell=f"row {one.got.line}, column caption",
            value=one.caption,
            remedy="Sort whole rows; apply with --as-is if each of these is meant.",
        )


def _checked(reviewer: str, got: EditedRow, problems: Problems) -> str:
    try:
        return journal.checked(reviewer)
    except ReviewError as error:
        problems.add(error.problem, cell=f"row {got.line}, column reviewer", value=error.value, remedy=error.remedy)
        return reviewer


def _change(
    meant: Intent, mine: Decision | None, notes: Iterable[str], problems: Problems, *, who: str, how: Applying
) -> tuple[Change | None, Change | None]:
    """What a row asks for that can be taken, and what of it was overtaken; None where there is nothing of that."""
    row, got, body = meant.row, meant.got, meant.caption
    cell = f"row {got.line}, column caption"
    if not body and meant.seen.strip() and got.decision != "drop":
        problems.add("was emptied", cell=cell, remedy="Write a caption, or write drop to leave the picture out.")
        return None, None
    if not body and got.decision == "accept":
        problems.add("there is no caption to accept", cell=cell, remedy="Write one, or write keep or drop.")
        return None, None
    seen, stands = plain(meant.seen), plain(row.caption)
    is_rest = how.accept_rest and not row.decided and not got.decision and not meant.is_edit and stands == seen
    # of what has changed meanwhile, only an edit or an explicit word for the caption is taken as meant
    takes = meant.is_edit or got.decision == "accept" or is_rest or (got.decision == "keep" and stands == seen)
    asked = row.pixel_id in how.contested
    told = not asked and mine is not None and plain(mine.caption or "") == body == stands and mine.read
    caption = body if takes and body and not told else None
    overtaken = caption is not None and merge(seen, body, stands) in ("conflict", "theirs")
    verdict = got.decision if got.decision in ("keep", "drop", "unsure") else None
    if not asked and verdict == row.verdict and mine is not None and mine.verdict == verdict:
        verdict = None
    contested = verdict is not None and row.verdict in ("keep", "drop")
    contested = contested and merge(meant.seen_verdict, verdict, row.verdict) in ("conflict", "theirs")
    note = got.note if got.note and not any(damage.explained(one, got.note) for one in (*notes, row.note)) else None
    decision = Decision(
        pixel_id=row.pixel_id, reviewer=who, at=how.at, read=not is_rest, proposed=row.proposed,
        verdict=None if contested else verdict, caption=None if overtaken else caption, note=note,
    )  # fmt: skip
    put_off = replace(
        decision, verdict=verdict if contested else None, caption=caption if overtaken else None, note=None
    )
    first, second = (
        None if one.blank else Change(got.line, row, _kinds(one, stands), meant.seen, meant.seen_verdict, one)
        for one in (decision, put_off)
    )
    return first, second


def _kinds(decision: Decision, stands: str) -> tuple[Kind, ...]:
    kinds: list[Kind] = []
    if decision.caption is not None:
        kinds.append("edited" if decision.caption != stands else "accepted")
    if decision.verdict is not None:
        kinds.append(_VERDICTS[decision.verdict])
    if decision.note is not None:
        kinds.append("noted")
    return tuple(kinds)
