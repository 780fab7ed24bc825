"""`gesso review`: captions out to a spreadsheet, decisions back in."""

from pathlib import Path

from pipeline import imaging
from pipeline.errors import InputError, PictureError
from pipeline.review import apply as merging
from pipeline.review import journal, table
from pipeline.review.rows import ReviewRow
from pipeline.run import Run
from pipeline.steps.review import rows_of

THUMBNAIL_SIDE = 256


def thumbnails(run: Run, sample_ids: list[str], side: int = THUMBNAIL_SIDE) -> dict[str, bytes]:
    """Encoded thumbnails by sample id; of originals that cannot be decoded there is none."""
    found = {}
    for sample_id in sample_ids:
        try:
            pixels = imaging.decode(run.workspace.original(sample_id).read_bytes()).pixels
        except (PictureError, OSError):
            continue
        found[sample_id] = imaging.thumbnail(pixels, side)
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


def export(run: Run, path: Path, *, replace: bool) -> str:
    """Write the review file and its folder of thumbnails; says what to do next.

    Raises:
        InputError: there is nothing to review.
        ReviewError: the file is there already and `replace` is False.
    """
    rows = captioned(run)
    pictures = thumbnails(run, [row.sample_id for row in rows])
    table.export_csv(rows, path, thumbnails=pictures, replace=replace)
    return (
        f"{len(rows)} captions written to {path}. Edit the column caption, or write accept, keep or drop in the column "
        f"decision, then: gesso review apply {run.workspace.root} {path}"
    )


def apply(
    run: Run, path: Path, *, reviewer: str, dry_run: bool = False, accept_rest: bool = False, force: bool = False
) -> str:
    """Check a reviewed file and apply all of it, or nothing; says what changed.

    Raises:
        InputError: there is nothing to review.
        ReviewError: the file cannot be read, or a row of it cannot be applied.
    """
    rows = captioned(run)
    edited = table.read_csv(path)
    found = merging.changes(rows, edited, reviewer=reviewer, at=journal.now(), accept_rest=accept_rest, name=str(path))
    told = merging.render(found)
    if dry_run:
        return f"{told}\nnothing was applied (--dry-run)"
    count = merging.apply(found, run.workspace.decisions, force=force)
    return f"{told}\n{count} decisions applied" if count else f"{told}\nno change"
