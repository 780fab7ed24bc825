"""`gesso review`: captions out to a spreadsheet, decisions back in."""

import getpass
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flows import settings
from flows.progress import Progress
from pipeline.errors import InputError, ReviewError
from pipeline.review import apply as merging
from pipeline.review import columns, conflicts, journal, order, table, telling
from pipeline.review.apply import Applying, Changes
from pipeline.review.journal import Journal
from pipeline.review.order import Wanted
from pipeline.review.rows import ReviewRow
from pipeline.review.table import Reading
from pipeline.run import Run
from pipeline.stage import Tools
from pipeline.steps import thumbs
from pipeline.steps.review import rows_of
from pipeline.workspace import write_bytes

THUMBNAIL_SIDE = 256
SHEET_SIDE = 640
"""In a page of its own the small picture is all that there is."""
EVERYTHING = Wanted()
PATIENCE = 30.0
"""How long to wait for someone who writes decisions just now, in seconds."""
KEPT = "files"
"""The folder beside the journals where applied files are kept."""


@dataclass(frozen=True)
class Exported:
    """Review files that were written: each path with its number of captions."""

    run: Run
    files: dict[Path, int]

    def value(self) -> dict[str, Any]:
        """For a script: `run`, `files` and the number of `captions` in them."""
        return {"run": self.run.id, "files": list(map(str, self.files)), "captions": sum(self.files.values())}

    def words(self) -> str:
        """What was written, and what to do next."""
        if not self.files:
            return "no conflict waits for a person"
        told = [f"{count} captions written to {path}" for path, count in self.files.items()]
        words = ", ".join(columns.WORDS)
        return "\n".join(told) + (
            f". Edit the column caption, or write {words} in the column decision, then: "
            f"gesso review apply {self.run.workspace.root} {next(iter(self.files))}"
        )


@dataclass(frozen=True)
class Found:
    """A reviewed file that was read and compared with what stands; nothing is applied yet."""

    run: Run
    path: Path
    reading: Reading
    changes: Changes
    said: Journal
    reviewer: str
    instead_of: tuple[str, ...]

    def words(self) -> str:
        """What would change, old above new."""
        told = telling.render(self.changes)
        if self.instead_of:
            told = f"Rows of {', '.join(self.instead_of)} are taken as {self.reviewer}'s (--reviewer)\n{told}"
        return told


@dataclass(frozen=True)
class Applied:
    """What a reviewed file changed, and how many decisions of it were written down: none in a dry run."""

    found: Found
    decisions: int
    dry_run: bool
    batch: str | None = None
    conflicts: Path | None = None

    def value(self) -> dict[str, Any]:
        """For a script: `run`, `dry_run`, `applied`, `batch`, and captions by kind: `edited`, `accepted`, and so on."""
        found = self.found.changes
        kinds: dict[str, int] = {kind: found.count(kind) for kind in merging.KINDS}
        rest = {"unchanged": found.unchanged, "conflicts": len(found.conflicts), "repaired": len(found.repaired)}
        told = {"run": self.found.run.id, "dry_run": self.dry_run, "applied": self.decisions, "batch": self.batch}
        return {**told, **kinds, **rest}

    def words(self) -> str:
        """Whether it was applied, and how to take it back."""
        root = self.found.run.workspace.root
        if self.dry_run:
            return "nothing was applied (--dry-run)"
        told = []
        if self.conflicts:
            told.append(
                f"{len(self.found.changes.conflicts)} conflicts are set aside in {self.conflicts}: decide there, then "
                f"gesso review apply {root} {self.conflicts}"
            )
        if self.decisions:
            told.append(f"{self.decisions} decisions applied; to take them back: gesso review undo {root}")
        return "\n".join(told) or "no change"


def thumbnails(
    run: Run,
    sample_ids: list[str],
    side: int = THUMBNAIL_SIDE,
    *,
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,  # noqa: ARG005 (names say what comes)
) -> dict[str, bytes]:
    """Encoded thumbnails by sample id; of originals that cannot be decoded there is none."""
    tools = Tools(run.workspace, workers=os.cpu_count() or 1, progress=progress)
    return thumbs.of(sample_ids, tools, side=side)


def captioned(run: Run) -> list[ReviewRow]:
    """What there is to review of a run.

    Raises:
        InputError: the run ended before it captioned anything.
    """
    if not run.rows("captions", ("sample_id",)):
        raise InputError(
            "this run has no captions to review",
            field="--run",
            value=run.id,
            remedy="Run `gesso prepare RECIPE` to its end, or name another run.",
        )
    return rows_of(run)


def measure_fit(run: Run) -> None:
    """Measure how well each proposed caption tells of its picture, so that the worst come first.

    Raises:
        InputError: there is nothing to review.
        ModelError: the recipe's CLIP is not there and cannot be had.
    """
    captioned(run)

    from pipeline.steps import fit

    with settings.tools(run.workspace) as tools:
        fit.measure(run, tools)


def export(
    run: Run,
    path: Path,
    *,
    replace: bool,
    wanted: Wanted = EVERYTHING,
    reviewer: str = "",
    assign: Sequence[str] = (),
    overlap: float = 0.0,
) -> Exported:
    """Write the review file for `reviewer`, or one for each in `assign`, with their pictures; the worst come first.

    Raises:
        InputError: there is nothing to review.
        ReviewError: a file is there already and `replace` is False, or a reviewer's name cannot be a file's.
    """
    rows = wanted.of(order.ordered(captioned(run)))
    asked = [journal.checked(one) for one in (*assign, *([reviewer] if reviewer else []))]
    batches = order.assigned(rows, asked, overlap=overlap) if assign else {reviewer: rows}
    files = {path.with_name(f"{path.stem}.{who}{path.suffix}") if assign else path: who for who in batches}
    for one in files:
        table.check_place(one, replace=replace)
    with Progress() as shown:
        side = SHEET_SIDE if path.suffix.lower() == ".html" else THUMBNAIL_SIDE
        pictures = thumbnails(run, [row.sample_id for row in rows], side, progress=shown.stage)
    for one, who in files.items():
        table.export(batches[who], one, thumbnails=pictures, reviewer=who, replace=replace)
    return Exported(run, {one: len(batches[who]) for one, who in files.items()})


def look(
    run: Run,
    path: Path,
    *,
    reviewer: str | None = None,
    accept_rest: bool = False,
    as_is: bool = False,
    tell: Callable[[str], None] = lambda text: None,  # noqa: ARG005 (names say what comes)
) -> Found:
    """Read a reviewed file and compare it with what stands. `reviewer` is whose all of it is; None goes by its rows.

    What was read is told before it is compared, so that it is known where that is refused.

    Raises:
        InputError: there is nothing to review.
        ReviewError: the file cannot be read, or a row of it cannot be applied.
    """
    rows, folder = captioned(run), run.workspace.decisions
    said = journal.load(folder)
    reading = table.read(path)
    tell(f"Read {path}: {reading.words()}")
    who = reviewer or getpass.getuser()
    contested = {one.pixel_id for one in conflicts.waiting(folder, said)}
    how = Applying(
        who, journal.now(), override=reviewer is not None, accept_rest=accept_rest, as_is=as_is, contested=contested
    )
    others = sorted({row.reviewer for row in reading.rows} - {"", who}) if reviewer else []
    found = merging.changes(rows, reading.rows, said, how, name=str(path))
    return Found(run, path, reading, found, said, who, tuple(others))


def apply(found: Found, *, dry_run: bool = False, force: bool = False, set_aside: Path | None = None) -> Applied:
    """Apply all of a file, or nothing. With `set_aside` conflicts are written down there, and the rest is applied.

    Raises:
        ReviewError: something is in conflict and neither `force` nor `set_aside` is given.
    """
    if dry_run:
        return Applied(found, 0, dry_run=True)
    with writing(found.run, doing="gesso review apply"):
        return _apply(found, force=force, set_aside=set_aside)


def writing(run: Run, *, doing: str) -> AbstractContextManager[None]:
    """Be the one who writes decisions in the run's workspace, for the length of a with-block."""
    return run.workspace.lock("review", wait=PATIENCE, doing=doing)


def _apply(found: Found, *, force: bool, set_aside: Path | None) -> Applied:
    changes, folder, batch = found.changes, found.run.workspace.decisions, journal.new_batch()
    if journal.load(folder) != found.said:
        raise ReviewError("somebody decided something just now", field=str(found.path), remedy="Apply the file again.")
    aside = changes.conflicts if set_aside and not force else ()
    if aside and set_aside:
        table.check_place(set_aside, replace=False)
        conflicts.append(folder, map(conflicts.of, aside))
        changes = replace(changes, conflicts=())
    merging.check(changes, force=force)
    if changes.fresh or changes.conflicts:
        write_bytes(folder / KEPT / f"{batch}{found.path.suffix}", found.path.read_bytes())
    count = merging.apply(changes, folder, batch=batch, force=force)
    # of those that a person has decided since, nothing waits
    written = bool(aside and set_aside and export_conflicts(found.run, set_aside).files)
    return Applied(
        found, count, dry_run=False, batch=batch if count else None, conflicts=set_aside if written else None
    )


def export_conflicts(run: Run, path: Path) -> Exported:
    """Write the pictures on which people differ, if any, as a review file, what each wanted among the candidates.

    Raises:
        ReviewError: the file is there already.
    """
    folder = run.workspace.decisions
    waiting: dict[str, list[conflicts.Conflict]] = {}
    for one in conflicts.waiting(folder, journal.load(folder)):
        waiting.setdefault(one.pixel_id, []).append(one)
    rows = [conflicts.shown(row, waiting[row.pixel_id]) for row in captioned(run) if row.pixel_id in waiting]
    if not rows:
        return Exported(run, {})
    table.export(rows, path, thumbnails=thumbnails(run, [row.sample_id for row in rows]))
    return Exported(run, {path: len(rows)})
