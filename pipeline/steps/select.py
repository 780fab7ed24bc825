"""Step: compare what is new, then decide about every file."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from pipeline import ledger, selection, tombstones
from pipeline.dedup import exact, groups, perceptual, turned
from pipeline.duplicates import Near
from pipeline.manifest import Row, table_of
from pipeline.recipe import Recipe
from pipeline.review import journal
from pipeline.run import Run
from pipeline.selection import Kept, Selection
from pipeline.stage import Tools
from pipeline.steps import accepted, likeness

KEPT = pa.schema(
    [
        ("sample_id", pa.string()),
        ("pixel_id", pa.string()),
        ("split", pa.string()),
        ("group", pa.int64()),
        ("sidecar", pa.string()),
        ("origins", pa.list_(pa.string())),  # names of the eligible ones, its own first
    ]
)
ORIGIN = (
    *("origin", "source", "sample_id", "sidecar", "split", "mask_of", "error"),
    *("license", "ai_optout", "optout_source"),
)
"""Columns of origins that decide."""


def run(run: Run, tools: Tools) -> str:
    """Save the tables `edges`, `ledger`, `groups`, `kept` and `dropped` (by people).

    Says how many files are in each state.
    """
    made, compared, grouped = decide(run, tools, run.recipe)
    ledger.check(made.ledger, run.rows("origins", ("origin",)))
    run.save("edges", compared)
    run.save("ledger", table_of(made.ledger, ledger.LEDGER))
    run.save("groups", grouped)
    save_kept(run, made.kept)
    save_kept(run, made.dropped, name="dropped")
    return ", ".join(f"{count} {state}" for state, count in ledger.totals(made.ledger).items())


class Decided(NamedTuple):
    """What becomes of the files of a run, all edges, and what the groups of duplicates are like."""

    selection: Selection
    edges: pa.Table
    groups: pa.Table


def decide(run: Run, tools: Tools, recipe: Recipe) -> Decided:
    """What becomes of the run's files under a recipe, its own or another; saves nothing."""
    origins = run.rows("origins", ORIGIN)
    samples = run.rows("samples", sorted({*selection.columns(recipe.rules, recipe.dedup), *likeness.COLUMNS}))
    said = journal.load(run.workspace.decisions)
    verdicts = {name: one.verdict for name, one in said.latest().items() if one.verdict in ("keep", "drop")}
    earlier: list[Row] = []
    if recipe.dedup.against == "accepted":
        earlier = accepted.measured(accepted.before(run, verdicts), recipe, tools)
    alike = likeness.look([*(row for row in samples if not row["error"]), *earlier], recipe.dedup, tools)
    pictures = [row for row in origins if not row.get("mask_of")]
    same = table_of([*exact.of_bytes(pictures), *exact.of_pixels(samples)], exact.EDGES)
    made = selection.select(
        origins,
        samples,
        alike.near,
        verdicts,
        rights=recipe.rights,
        rules=recipe.rules,
        dedup=recipe.dedup,
        split=recipe.split,
        priors=[position for position, source in enumerate(recipe.sources) if source.role == "prior"],
        forgotten=_forgotten(run, samples, recipe.dedup.near),
        apart=said.apart(),
        linked=alike.linked,
        accepted={row["pixel_id"]: row["sample_id"] for row in earlier},
    )
    hashes = _as_grouped(made.ledger, [*samples, *earlier], recipe)
    return Decided(made, pa.concat_tables([same, alike.table()]), groups.told(made.ledger, hashes))


def _forgotten(run: Run, samples: Sequence[Row], asked: Near | None) -> dict[str, str]:
    """Why pictures are taken for forgotten ones, by pixel id; of equal pixels the bytes go, too, and stay away."""
    buried = tombstones.load(run.workspace.root)
    if not buried.stones:
        return {}
    again = [row for row in samples if row["pixel_id"] in buried.pixels]
    stones = {one.pixel_id: one for one in buried.stones}
    tombstones.add(run.workspace.root, [replace(stones[row["pixel_id"]], sample_id=row["sample_id"]) for row in again])
    for row in again:
        run.workspace.original(row["sample_id"]).unlink(missing_ok=True)
    found: dict[str, str] = {}
    if seen := [row for row in samples if not row["error"] and not row["perceptual__flat"]] if buried.looks else []:
        # a recipe may keep look-alikes, but not of what was taken out for good
        near, ways = asked or Near(), turned.asked(asked)
        looks, colours = (np.array([one[place] for one in buried.looks], np.uint64) for place in (0, 1))
        lying = [[row["perceptual__hash"], *(row["turned__hashes"][way] for way in ways)] for row in seen]
        hashes = np.array(lying, np.uint64).T
        own = np.array([row["perceptual__colors"] for row in seen], np.uint64)
        laid = np.concatenate([own, *(turned.colours_laid(own, turned.WAYS[way]) for way in ways)])
        mine, other, _ = perceptual.neighbours(hashes.ravel(), looks, distance=near.distance)
        alike = perceptual.colour_distance(laid[mine], colours[other]) <= near.colour
        found = {seen[place % len(seen)]["pixel_id"]: "looks like a forgotten picture" for place in mine[alike]}
    return found | {row["pixel_id"]: "same pixels as a forgotten picture" for row in again}


def _as_grouped(rows: Sequence[Row], samples: Sequence[Row], recipe: Recipe) -> dict[str, int]:
    """The hash of each picture by sample id; of a copy that lies differently, as it is like the one that is kept."""
    by_id = {row["sample_id"]: row for row in samples}
    found = {one: row["perceptual__hash"] for one, row in by_id.items()}
    for row in rows:
        if row["state"] == "duplicate" and row["reason"].startswith("looks alike, "):
            lying = by_id[row["sample_id"]]["turned__hashes"]
            found[row["sample_id"]] = turned.toward(found[row["kept_instead"]], lying, recipe.dedup.near)
    return found


def save_kept(run: Run, kept: Sequence[Kept], *, name: str = "kept") -> None:
    """Save the pictures that go on."""
    rows: list[Row] = [
        {
            "sample_id": one.sample_id,
            "pixel_id": one.pixel_id,
            "split": one.split,
            "group": one.group,
            "sidecar": one.sidecar,
            "origins": [origin["origin"] for origin in one.origins],
        }
        for one in kept
    ]
    run.save(name, table_of(rows, KEPT))


def load_kept(run: Run, *, name: str = "kept") -> Iterator[Kept]:
    """The pictures that go on, or with `name="dropped"` those that people dropped."""
    places = {row["origin"]: row for row in run.rows("origins")}
    return (
        Kept(
            sample_id=row["sample_id"],
            pixel_id=row["pixel_id"],
            origins=tuple(places[one] for one in row["origins"]),
            sidecar=row["sidecar"],
            group=row["group"],
            split=row["split"],
        )
        for row in run.rows(name)
    )
