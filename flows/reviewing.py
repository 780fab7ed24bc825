"""`gesso review`: captions out to a spreadsheet, decisions back in."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.progress import Progress
from pipeline import imaging
from pipeline.errors import InputError, PictureError
from pipeline.review import apply as merging
from pipeline.review import journal, table
from pipeline.review.rows import ReviewRow
from pipeline.run import Run
from pipeline.steps.review import rows_of

THUMBNAIL_SIDE = 256


@dataclass(frozen=True)
class Exported:
    """A review file that was written."""

    run: Run
    path: Path
    captions: int

    def value(self) -> dict[str, Any]:
        """For a script: `run`, `file` and the number of `captions`."""
        return {"run": self.run.id, "file": str(self.path), "captions": self.captions}

    def words(self) -> str:
        """What was written, and what to do next."""
        return (
            f"{self.captions} captions written to {self.path}. Edit the column caption, or write accept, keep or drop "
            f"in the column decision, then: gesso review apply {self.run.workspace.root} {self.path}"
        )


@dataclass(frozen=True)
class Applied:
    """What a reviewed file changes, and how many decisions of it were written down: none in a dry run."""

    run: Run
    changes: merging.Changes
    decisions: int
    dry_run: bool

    def value(self) -> dict[str, Any]:
        """For a script: `run`, `dry_run`, `applied`, and captions by kind: `edited`, `accepted`, ... and `stale`."""
        kinds: dict[str, int] = {kind: self.changes.count(kind) for kind in merging.KINDS}
        rest = {"unchanged": self.changes.unchanged, "stale": len(self.changes.stale)}
        return {"run": self.run.id, "dry_run": self.dry_run, "applied": self.decisions, **kinds, **rest}

    def words(self) -> str:
        """What changes, old above new, and whether it was applied."""
        if self.dry_run:
            last = "nothing was applied (--dry-run)"
        else:
            last = f"{self.decisions} decisions applied" if self.decisions else "no change"
        return f"{merging.render(self.changes)}\n{last}"


def thumbnails(
    run: Run,
    sample_ids: list[str],
    side: int = THUMBNAIL_SIDE,
    *,
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,  # noqa: ARG005 (names say what comes)
) -> dict[str, bytes]:
    """Encoded thumbnails by sample id; of originals that cannot be decoded there is none."""
    found = {}
    for place, sample_id in enumerate(sample_ids):
        progress("thumbnails", place, len(sample_ids))
        try:
            pixels = imaging.decode(run.workspace.original(sample_id).read_bytes()).pixels
        except (PictureError, OSError):
            continue
        found[sample_id] = imaging.thumbnail(pixels, side)
    progress("thumbnails", len(sample_ids), len(sample_ids))
    return found


def captioned(run: Run) -> list[ReviewRow]:
    """What there is to review of a run.

    Raises:
        InputError: the run ended before it captioned anything.
    """
    if not run.rows("captions"):
        raise InputError(
            "this run has no captions to review",
            field="--run",
            value=run.id,
            remedy="Run `gesso prepare RECIPE` to its end, or name another run.",
        )
    return rows_of(run)


def export(run: Run, path: Path, *, replace: bool) -> Exported:
    """Write the review file and its folder of thumbnails.

    Raises:
        InputError: there is nothing to review.
        ReviewError: the file is there already and `replace` is False.
    """
    rows = captioned(run)
    with Progress() as shown:
        pictures = thumbnails(run, [row.sample_id for row in rows], progress=shown.stage)
    table.export_csv(rows, path, thumbnails=pictures, replace=replace)
    return Exported(run, path, len(rows))


def apply(
    run: Run, path: Path, *, reviewer: str, dry_run: bool = False, accept_rest: bool = False, force: bool = False
) -> Applied:
    """Check a reviewed file and apply all of it, or nothing.

    Raises:
        InputError: there is nothing to review.
        ReviewError: the file cannot be read, or a row of it cannot be applied.
    """
    rows = captioned(run)
    edited = table.read_csv(path)
    found = merging.changes(rows, edited, reviewer=reviewer, at=journal.now(), accept_rest=accept_rest, name=str(path))
    count = 0 if dry_run else merging.apply(found, run.workspace.decisions, force=force)
    return Applied(run, found, count, dry_run)
