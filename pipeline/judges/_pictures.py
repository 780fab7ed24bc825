"""What judges share: pictures of some rows, decoded in order, each an answer or an error."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline import imaging
from pipeline.errors import ModelError, PictureError
from pipeline.manifest import Row
from pipeline.model_files import locate
from pipeline.stage import Tools

BATCH = 16


def folder_of(model: str, revision: str | None, *, field: str) -> Path:
    """Where a judge's model lies.

    Raises:
        ModelError: it is not there and cannot be had, or is `starter`, which has no judges.
    """
    if model == "starter":
        raise ModelError(
            "the starter has no judges", field=field, value=model, remedy="Name a folder or a hub id, or leave it out."
        )
    return locate(model, revision, part="judge", field=field)


def answers(
    rows: Sequence[Row],
    column: str,
    judge: Callable[..., Sequence[float]],
    tools: Tools,
    *,
    texts: str | None = None,
) -> list[Mapping[str, Any]]:
    """One mapping a row: the judge's number for its proxy, or why it has none.

    `judge` gets proxies, and beside them the column `texts` of the same rows where one is named.
    """
    found: list[Mapping[str, Any]] = []
    for start in range(0, len(rows), BATCH):
        part: list[imaging.Pixels] = []
        beside: list[str] = []
        told: list[str | None] = []
        for row in rows[start : start + BATCH]:
            try:
                part.append(imaging.decode(tools.read(row["sample_id"])).proxy.copy())
                beside += [row[texts]] if texts else []
                told.append(None)
            except (PictureError, OSError) as error:
                told.append(str(error))
        numbers = iter(judge(part, *([beside] if texts else [])) if part else ())
        found += [{column: float(next(numbers))} if error is None else {"error": error} for error in told]
        tools.advance(len(found))
    return found
