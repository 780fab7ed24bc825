"""How varied the pictures of a run are to CLIP: viewpoints, their effective number, and those that do not belong."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import diversity, stage
from pipeline.manifest import Row
from pipeline.reporting import variety as report
from pipeline.reporting.histograms import Spread
from pipeline.run import Run
from pipeline.stage import Tools
from pipeline.steps import embed, overview, thumbs

THUMBNAIL_SIDE = 112
MOST_CLUSTERS, MOST_MEMBERS = 12, 8
"""Clusters on the page, and pictures of each."""


@dataclass(frozen=True)
class Varied:
    """What is said of a set of pictures; samples are named by their ids."""

    pictures: int
    compared: int
    """Pictures that were held against one another; of larger sets these are evenly spread."""
    effective: float
    """Effective number of distinct pictures (Vendi score) of those compared."""
    clusters: Sequence[Sequence[str]]
    """Pictures that share a viewpoint, the largest group first, its middle first."""
    odd: Sequence[tuple[str, float]]
    """Pictures unlike the rest and how far off, in robust standard deviations, the farthest first."""
    spreads: Sequence[Spread]
    terms: Sequence[tuple[str, int]]
    advice: Sequence[str]


def look(run: Run, tools: Tools, params: embed.Params, *, similarity: float) -> Varied:
    """Embed the pictures that a run kept, those that are not yet, and hold them against each other.

    Raises:
        ModelError: the CLIP is not there and cannot be had.
    """
    kept = sorted({row["sample_id"] for row in run.rows("kept", ("sample_id", "split")) if row["split"] != "prior"})
    rows = [{"sample_id": kept[place]} for place in (diversity.compared(len(kept)) if kept else ())]
    stored = stage.ensure(embed, rows, params, tools, weights=embed.weights(params)).table() if rows else None
    vectors = stored["embed__vector"].to_pylist() if stored is not None else []
    ids = [row["sample_id"] for row, vector in zip(rows, vectors, strict=True) if vector is not None]
    seen = np.array([vector for vector in vectors if vector is not None], np.float32)
    groups = diversity.clusters(seen, similarity=similarity) if ids else []
    odd = diversity.odd_ones(seen)
    told = overview.variety(run)
    covered = [diversity.Coverage(one.name, dict(one.counts), one.effective) for one in told.spreads]
    return Varied(
        pictures=len(kept),
        compared=len(ids),
        effective=diversity.effective_number(seen),
        clusters=[[ids[place] for place in one.members] for one in groups],
        odd=[(ids[place], off) for place, off in odd],
        spreads=told.spreads,
        terms=told.terms,
        advice=diversity.advice(len(kept), groups, covered, len(odd), told.terms),
    )


def write(run: Run, found: Varied) -> Path:
    """Write `variety.html` in the run's folder: the viewpoints, and the pictures unlike the rest."""
    names = _names(run)
    groups = [
        report.Group(f"Viewpoint {number}", len(one), [(names[who], who, "") for who in one[:MOST_MEMBERS]])
        for number, one in enumerate(found.clusters[:MOST_CLUSTERS], 1)
    ]
    odd = [(names[who], who, f"{off:.1f} deviations off") for who, off in found.odd]
    wanted = {who for one in groups for _, who, _ in one.pictures} | {who for _, who, _ in odd}
    thumbnails = thumbs.of(sorted(wanted), Tools(run.workspace), side=THUMBNAIL_SIDE)
    record = report.Record(run.recipe.name, run.id, words(found, {}), groups, odd, thumbnails)
    return report.write(record, run.folder / "variety.html")


def value(run: Run, found: Varied, page: Path) -> dict[str, Any]:
    """The same for a script; `clusters` and `odd` name pictures by where they came from."""
    names = _names(run)
    return {
        "pictures": found.pictures,
        "effective_number": round(found.effective, 2),
        "clusters": [[names[who] for who in one] for one in found.clusters],
        "odd": [names[who] for who, _ in found.odd],
        "spread": {one.name: dict(one.counts) for one in found.spreads},
        "terms": dict(found.terms),
        "advice": list(found.advice),
        "page": str(page),
    }


def words(found: Varied, names: dict[str, str]) -> list[str]:
    """The set in lines: how many pictures it is worth, the advice, and by name those unlike the rest."""
    largest = len(found.clusters[0]) if found.clusters else 0
    worth = f"as varied as {found.effective:.1f} wholly different ones"
    viewpoints = f"{len(found.clusters)} viewpoints, the commonest has {largest}"
    first = f"{found.pictures} pictures, {found.compared} compared: {worth}; {viewpoints}"
    advice = found.advice or ["nothing of it is one-sided"]
    return [
        first,
        *advice,
        *(f"unlike the rest: {names[who]} ({off:.1f} deviations)" for who, off in found.odd if names),
    ]


def text(run: Run, found: Varied, page: Path) -> str:
    """What is printed on a terminal."""
    return "\n".join([*words(found, _names(run)), f"pictures: {page}"])


def _names(run: Run) -> dict[str, str]:
    rows: list[Row] = run.rows("origins", ("sample_id", "origin"))
    return {row["sample_id"]: row["origin"] for row in reversed(rows) if row["sample_id"]}
