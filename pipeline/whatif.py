"""What other limits would change: which files would stay that leave now, and which would leave, before anything does.

A query of what a run has measured: nothing is decoded but for thumbnails, and nothing but a page is written.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipeline import ledger, selection
from pipeline.errors import WorkspaceError
from pipeline.manifest import Row
from pipeline.recipe import Recipe
from pipeline.reporting import whatif as report
from pipeline.run import Run
from pipeline.stage import Tools
from pipeline.steps import thumbs
from pipeline.steps.select import decide

THUMBNAIL_SIDE = 112
MOST_THUMBNAILS = 240
"""Pictures on the page, of those gained and those lost each."""


@dataclass(frozen=True)
class Difference:
    """Ledger rows under the present limits and under those tried."""

    before: dict[str, int]
    """Files by state."""
    after: dict[str, int]
    gained: list[tuple[Row, Row]]
    """(row before, row after) of files that would stay."""
    lost: list[tuple[Row, Row]]
    """The same of files that would leave."""


def compare(run: Run, now: Recipe, tried: Recipe) -> Difference:
    """Hold the selection of two recipes against each other, on what a run has measured.

    Raises:
        WorkspaceError: the run has measured nothing, or not all that the limits read.
    """
    _check(run, now, tried)
    tools = Tools(run.workspace)
    rows = [{row["origin"]: row for row in decide(run, tools, recipe).selection.ledger} for recipe in (now, tried)]
    pairs = [(row, rows[1][origin]) for origin, row in rows[0].items()]
    stays = [tuple(row["state"] in ledger.STAYED for row in pair) for pair in pairs]
    return Difference(
        before=ledger.totals(list(rows[0].values())),
        after=ledger.totals(list(rows[1].values())),
        gained=[pair for pair, stay in zip(pairs, stays, strict=True) if stay == (False, True)],
        lost=[pair for pair, stay in zip(pairs, stays, strict=True) if stay == (True, False)],
    )


def _check(run: Run, *recipes: Recipe) -> None:
    path = run.folder / "samples.parquet"
    there = set(pq.read_schema(path).names) if path.exists() else set()
    lacking = {column for recipe in recipes for column in selection.columns(recipe.rules, recipe.dedup)} - there
    if lacking:
        raise WorkspaceError(
            f"the run has not measured {', '.join(sorted(lacking))}",
            field="WORKSPACE",
            value=run.id,
            remedy="Run `gesso prepare RECIPE --until select` again; what is measured already is not measured anew.",
        )


def write(run: Run, found: Difference, changes: Sequence[str]) -> Path:
    """Write `what-if.html` in the run's folder, with the pictures gained and lost."""
    moved = [*found.gained[:MOST_THUMBNAILS], *found.lost[:MOST_THUMBNAILS]]
    wanted = [after["sample_id"] for _, after in moved if after["sample_id"]]
    thumbnails = thumbs.of(wanted, Tools(run.workspace), side=THUMBNAIL_SIDE)
    record = report.Record(
        name=run.recipe.name,
        run_id=run.id,
        changes=changes,
        counts=[(state, found.before.get(state, 0), found.after.get(state, 0)) for state in _states(found)],
        gained=[report.Moved(after["origin"], after["sample_id"], why(before)) for before, after in found.gained],
        lost=[report.Moved(after["origin"], after["sample_id"], why(after)) for _, after in found.lost],
        thumbnails=thumbnails,
        most=MOST_THUMBNAILS,
    )
    return report.write(record, run.folder / "what-if.html")


def value(found: Difference, page: Path) -> dict[str, Any]:
    """The difference for a script: `before`, `after` (files by state), `gained`, `lost` (origins) and `page`."""
    return {
        "before": found.before,
        "after": found.after,
        "gained": [after["origin"] for _, after in found.gained],
        "lost": [after["origin"] for _, after in found.lost],
        "page": str(page),
    }


def words(found: Difference, page: Path) -> str:
    """The difference in lines: files by state now and then, and each file that would move with the reason."""
    lines = [f"  {'state':<20}{'now':>8}{'then':>8}"]
    lines += [f"  {one:<20}{found.before.get(one, 0):>8}{found.after.get(one, 0):>8}" for one in _states(found)]
    for title, rows in (("gained", found.gained), ("lost", found.lost)):
        lines += ["", f"{title}: {len(rows)}"]
        lines += [f"  {pair[0]['origin']}: {why(pair[title == 'lost'])}" for pair in rows[:20]]
        if len(rows) > 20:
            lines.append(f"  and {len(rows) - 20} more")
    return "\n".join([*lines, "", f"pictures: {page}"])


def why(row: Row) -> str:
    """Why a file leaves: the reason, the measured value and the limit."""
    measured = f" {row['value']}" if row["value"] else ""
    return f"{row['reason'] or row['state']}{measured}" + (f" (limit {row['limit']})" if row["limit"] else "")


def _states(found: Difference) -> list[str]:
    return [state for state in ledger.STATES if state in found.before or state in found.after]
