"""Step: compare what is new, then decide about every file."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from pipeline import ledger, selection, tombstones
from pipeline.dedup import edges, exact, groups, perceptual
from pipeline.fused import fingerprint_of
from pipeline.manifest import Row, table_of
from pipeline.recipe import Recipe
from pipeline.review import journal
from pipeline.run import Run
from pipeline.selection import Kept, Selection
from pipeline.settings import Near
from pipeline.stage import Tools

KEPT = pa.schema(
    [
        ("sample_id", pa.string()),
        ("pixel_id", pa.string()),
        ("split", pa.string()),
        ("group", pa.int64()),
        ("sidecar", pa.string()),
        ("origins", pa.string()),  # JSON: rows of ORIGINS, its own first
    ]
)
COMPARED = perceptual.ADDS.names
"""Columns of samples by which pictures are compared."""


def run(run: Run, tools: Tools) -> str:
    """Save the tables `edges`, `ledger`, `groups`, `kept` and `dropped` (by people).

    Says how many files are in each state.
    """
    origins, made, compared = decide(run, tools, run.recipe)
    ledger.check(made.ledger, origins)
    run.save("edges", compared)
    run.save("ledger", table_of(made.ledger, ledger.LEDGER))
    hashes = {row["sample_id"]: row["perceptual__hash"] for row in run.rows("samples", ("sample_id", *COMPARED))}
    run.save("groups", groups.told(made.ledger, hashes))
    save_kept(run, made.kept)
    save_kept(run, made.dropped, name="dropped")
    return ", ".join(f"{count} {state}" for state, count in ledger.totals(made.ledger).items())


def decide(run: Run, tools: Tools, recipe: Recipe) -> tuple[list[Row], Selection, pa.Table]:
    """The run's origins, what becomes of them under a recipe (its own or another), and all edges; saves nothing."""
    origins = run.rows("origins")
    samples = run.rows("samples", sorted({*selection.columns(recipe.rules, recipe.dedup), *COMPARED}))
    comparable = [row for row in samples if not row["error"] and not row["perceptual__flat"]]
    pairs = edges.ensure(
        {row["pixel_id"]: row["perceptual__hash"] for row in comparable},
        tools,
        hash_fingerprint=fingerprint_of(perceptual, perceptual.Params()),
    )
    pictures = [row for row in origins if not row.get("mask_of")]
    same = table_of([*exact.of_bytes(pictures), *exact.of_pixels(samples)], exact.EDGES)
    near = recipe.dedup.near
    gone = _forgotten(run, samples)
    colours = {row["pixel_id"]: row["perceptual__colors"] for row in comparable}
    said = journal.load(run.workspace.decisions)
    decided = said.latest()
    made = selection.select(
        origins,
        samples,
        pairs.within(near.distance).of_like_colours(colours, limit=near.colour) if near else (),
        {pixel_id: one.verdict for pixel_id, one in decided.items() if one.verdict in ("keep", "drop")},
        rights=recipe.rights,
        rules=recipe.rules,
        dedup=recipe.dedup,
        split=recipe.split,
        priors=[position for position, source in enumerate(recipe.sources) if source.role == "prior"],
        forgotten=gone,
        apart=said.apart(),
    )
    return origins, made, pa.concat_tables([same, pairs.table(exact.EDGES)])


def _forgotten(run: Run, samples: Sequence[Row]) -> dict[str, str]:
    """Why pictures are taken for forgotten ones, by pixel id; of equal pixels the bytes go, too, and stay away."""
    buried = tombstones.load(run.workspace.root)
    if not buried.stones:
        return {}
    again = [row for row in samples if row["pixel_id"] in buried.pixels]
    stones = {one.pixel_id: one for one in buried.stones}
    tombstones.add(run.workspace.root, [replace(stones[row["pixel_id"]], sample_id=row["sample_id"]) for row in again])
    for row in again:
        run.workspace.original(row["sample_id"]).unlink(missing_ok=True)
    # a recipe may keep look-alikes, but not of what was taken out for good
    near, seen = (
        run.recipe.dedup.near or Near(),
        [row for row in samples if not row["error"] and not row["perceptual__flat"]],
    )
    found: dict[str, str] = {}
    if buried.looks and seen:
        looks, colours = (np.array([one[place] for one in buried.looks], np.uint64) for place in (0, 1))
        hashes = np.array([row["perceptual__hash"] for row in seen], np.uint64)
        mine, other, _ = perceptual.neighbours(hashes, looks, distance=near.distance)
        own = np.array([row["perceptual__colors"] for row in seen], np.uint64)
        alike = perceptual.colour_distance(own[mine], colours[other]) <= near.colour
        found = {seen[place]["pixel_id"]: "looks like a forgotten picture" for place in mine[alike]}
    return found | {row["pixel_id"]: "same pixels as a forgotten picture" for row in again}


def save_kept(run: Run, kept: Sequence[Kept], *, name: str = "kept") -> None:
    """Save the pictures that go on."""
    rows: list[Row] = [
        {
            "sample_id": one.sample_id,
            "pixel_id": one.pixel_id,
            "split": one.split,
            "group": one.group,
            "sidecar": one.sidecar,
            "origins": json.dumps(one.origins),
        }
        for one in kept
    ]
    run.save(name, table_of(rows, KEPT))


def load_kept(run: Run, *, name: str = "kept") -> Iterator[Kept]:
    """The pictures that go on, or with `name="dropped"` those that people dropped."""
    return (
        Kept(
            sample_id=row["sample_id"],
            pixel_id=row["pixel_id"],
            origins=tuple(json.loads(row["origins"])),
            sidecar=row["sidecar"],
            group=row["group"],
            split=row["split"],
        )
        for row in run.rows(name)
    )
