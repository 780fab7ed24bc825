"""Step: put people's decisions over the proposed captions, and see whether enough has been decided."""

from collections.abc import Sequence

import pyarrow as pa

from pipeline import ledger
from pipeline.errors import AwaitingReview
from pipeline.manifest import Row, table_of
from pipeline.review import conflicts, gate, journal
from pipeline.review.rows import Proposal, ReviewRow, review_rows
from pipeline.run import Run
from pipeline.selection import Kept
from pipeline.stage import Tools
from pipeline.steps.reading import Reader
from pipeline.steps.select import load_kept

REVIEWED = pa.schema(
    [
        ("sample_id", pa.string()),
        ("pixel_id", pa.string()),
        ("origin", pa.string()),
        ("split", pa.string()),
        ("flags", pa.list_(pa.string())),
        ("proposed", pa.string()),
        ("source", pa.string()),
        ("caption", pa.string()),  # the body that stands
        ("decided", pa.bool_()),
    ]
)


def pictures_of(run: Run) -> list[Kept]:
    """The run's pictures that there is to review: those that go on, and those that people dropped."""
    return [*load_kept(run), *load_kept(run, name="dropped")]


def proposals_of(run: Run, pictures: Sequence[Kept] | None = None) -> list[Proposal]:
    """What is known of the run's pictures (`pictures_of`) before any person spoke."""
    captions = {row["sample_id"]: row for row in run.rows("captions")}
    fits = {row["sample_id"]: row["fit"] for row in run.rows("fits")}  # where they were asked for: see fit.py
    return [
        Proposal(
            sample_id=one.sample_id,
            pixel_id=one.pixel_id,
            origin=one.origins[0]["origin"],
            split=one.split,
            body=captions[one.sample_id]["body"],
            source=captions[one.sample_id]["source"],
            candidates=tuple(captions[one.sample_id].get("candidates") or ()),
            fit=fits.get(one.sample_id),
            sidecar=one.sidecar,
        )
        for one in (pictures_of(run) if pictures is None else pictures)
    ]


def rows_of(run: Run) -> list[ReviewRow]:
    """What a reviewer sees of the run's pictures, with everything decided so far."""
    folder = run.workspace.decisions
    said = journal.load(folder)
    contested = {one.pixel_id for one in conflicts.waiting(folder, said)}
    pictures = pictures_of(run)
    reader = Reader(run, pictures)
    rows = review_rows(proposals_of(run, pictures), said.latest(), contested=contested)
    return [reader.marked(row) for row in rows]


def run(run: Run, tools: Tools) -> str:  # noqa: ARG001 (a step's signature)
    """Save the table `reviewed`, and mark in the ledger who leaves here: the undecided, and what was dropped by now.

    So does a picture that the captioner failed with, as long as nobody has given it a caption.

    Done again after more was decided, it lets back in whom it had marked before.

    Raises:
        AwaitingReview: `undecided: wait`, and some captions that the recipe requires are undecided.
    """
    rule = run.recipe.review
    rows = rows_of(run)
    undecided = set(gate.undecided(rows, rule))
    dropped = {row.sample_id for row in rows if row.verdict == "drop"}
    rows = [row for row in rows if row.sample_id not in dropped]
    errors = {row["sample_id"]: row["error"] for row in run.rows("captions", ("sample_id", "error")) if row["error"]}
    failed = {row.sample_id: errors[row.sample_id] for row in rows if row.sample_id in errors and not row.decided}
    run.save("reviewed", table_of([_plain(row) for row in rows], REVIEWED))
    _mark(run, undecided, dropped, failed)
    if undecided and rule.undecided == "wait":
        raise AwaitingReview(
            f"{len(undecided)} of {len(rows)} captions wait for a person (review.require: {rule.require}). "
            f"Next: gesso review export {run.workspace.root}, edit the file, "
            f"gesso review apply {run.workspace.root} FILE, then run again."
        )
    decided = sum(row.decided for row in rows)
    return f"{decided} of {len(rows)} captions decided by people, {len(undecided)} left out"


def _mark(run: Run, undecided: set[str], dropped: set[str], failed: dict[str, str]) -> None:
    kept = run.rows("kept", ("sample_id", "split"))
    states = {row["sample_id"]: "held_out" if row["split"] == "held_out" else "kept" for row in kept}
    rows = run.rows("ledger")
    for row in rows:
        if row["stage"] in ("caption", "review"):
            row.update(state=states[row["sample_id"]], stage=None, reason=None, value=None)
        if row["state"] not in ledger.STAYED:
            continue
        if row["sample_id"] in dropped:
            row.update(state="dropped_by_person", stage="review", reason="dropped in review")
        elif row["sample_id"] in undecided:
            row.update(state="awaiting_review", stage="review", reason="undecided caption")
        elif row["sample_id"] in failed:
            reason, _, detail = failed[row["sample_id"]].partition(": ")
            row.update(state="quarantined", stage="caption", reason=reason, value=detail)
    ledger.check(rows, run.rows("origins", ("origin",)))
    run.save("ledger", table_of(rows, ledger.LEDGER))


def _plain(row: ReviewRow) -> Row:
    return {name: getattr(row, name) for name in REVIEWED.names if name != "flags"} | {"flags": list(row.flags)}
