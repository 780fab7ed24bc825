"""The gate before a training set: no view to train on may look like a picture that is measured on."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline import imaging
from pipeline.dedup import hamming, perceptual
from pipeline.errors import ContaminationError, PictureError
from pipeline.fused import fingerprint_of
from pipeline.manifest import Row, table_of
from pipeline.run import Run
from pipeline.settings import Buckets
from pipeline.stage import Tools, ensure
from pipeline.trainset import looks

FOUND = pa.schema(
    [
        ("sample_id", pa.string()),  # of the picture that would be trained on
        ("origin", pa.string()),
        ("view", pa.int64()),  # 0 is the picture itself
        ("against", pa.string()),  # held_out, or the evaluation set's name
        ("reference", pa.string()),  # the file that is measured on
        ("distance", pa.int32()),  # bits of 64 that differ
    ]
)
SHOWN = 3
"""Matches that the message names; all are in the run's table `contamination`."""


@dataclass(frozen=True)
class _Look:
    """How one picture looks, whole or as a view."""

    hash: int
    colors: int
    row: Row


def check(run: Run, rows: Sequence[Row], tools: Tools) -> None:
    """Compare every view to train on with what is measured on, if the recipe says so; `rows` are the manifest's.

    Pictures are looked at whole and as they are cut for training. Saves the table `contamination`.

    Raises:
        ContaminationError: some look alike; the message names the first of them.
    """
    asked = run.recipe.contamination
    if not asked.against and not asked.held_out:
        return
    training = [row for row in rows if row["split"] != "held_out"]
    mine = list(_looks(run, training, tools))
    theirs = [
        _Look(one.hash, one.colors, {"against": "held_out", "reference": one.row["origins"][0]})
        for one in (_looks(run, [row for row in rows if row["split"] == "held_out"], tools) if asked.held_out else ())
    ]
    for one in asked.against:
        theirs += _looks_of_folder(one.path, one.name, run.recipe.buckets, tools)
    found = sorted(
        _alike(mine, theirs, asked.distance, asked.colour, threads=tools.workers),
        key=lambda row: (row["distance"], row["origin"], row["view"], row["reference"]),
    )
    run.save("contamination", table_of(found, FOUND))
    if found:
        pictures = {row["sample_id"] for row in found}
        told = "; ".join(
            f"{row['origin']} (view {row['view']}) looks like {row['reference']} of {row['against']}, "
            f"{row['distance']} bits"
            for row in found[:SHOWN]
        )
        raise ContaminationError(
            f"{len(pictures)} pictures to train on look like pictures that are measured on: {told}"
            + ("" if len(found) <= SHOWN else f"; {len(found) - SHOWN} more"),
            field="contamination",
            remedy="Take them out of the sources or drop them in a review, then run again; all are in the run's "
            "contamination.parquet.",
        )


def _looks(run: Run, rows: Sequence[Row], tools: Tools) -> Iterator[_Look]:
    """How each row's view looks, and each picture as a whole."""
    hashed = fingerprint_of(perceptual, perceptual.Params())
    stored = ensure(looks, rows, looks.Params(buckets=run.recipe.buckets), tools, weights=hashed)  # type: ignore[arg-type]
    for row, seen in zip(rows, stored.table().to_pylist(), strict=True):
        if not seen["error"] and not seen["looks__flat"]:
            yield _Look(seen["looks__hash"], seen["looks__colors"], row)
    whole = {row["sample_id"]: row for row in run.rows("samples", ("sample_id", *perceptual.ADDS.names))}
    for row in rows:
        seen = whole[row["sample_id"]]
        if row["view"] == 0 and not seen["perceptual__flat"]:
            yield _Look(seen["perceptual__hash"], seen["perceptual__colors"], row)


def _looks_of_folder(folder: Path, name: str, sizes: Buckets, tools: Tools) -> list[_Look]:
    """How the pictures in a folder look; what cannot be read as a picture is told and left out."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))

    def look(path: Path) -> list[_Look]:
        try:
            picture = imaging.decode(path.read_bytes())
        except (PictureError, OSError):
            return []
        whole = perceptual.measure(picture, perceptual.Params())
        cut = looks.of(picture.pixels, picture.pixel_id, 0, (), sizes)
        row = {"against": name, "reference": str(path)}
        told = [(whole[f"perceptual__{one}"], cut[f"looks__{one}"]) for one in ("hash", "colors", "flat")]
        return [_Look(int(hash_), int(colors), row) for hash_, colors, flat in zip(*told, strict=True) if not flat]

    found: list[_Look] = []
    with ThreadPoolExecutor(tools.workers) as pool:
        for done, some in enumerate(pool.map(look, paths), 1):
            found += some
            tools.progress("contamination", done, len(paths))
    tools.say(f"{name}: {len({one.row['reference'] for one in found})} pictures that must not be trained on")
    return found


def _alike(
    mine: Sequence[_Look], theirs: Sequence[_Look], distance: int, colour: int, *, threads: int
) -> Iterator[Row]:
    """A row of FOUND for each view and each picture measured on that look alike, the nearest of their looks."""
    nearest: dict[tuple[str, int, str, str], Row] = {}
    values, which = np.unique(np.array([one.hash for one in (*mine, *theirs)], np.uint64), return_inverse=True)
    ours: list[list[_Look]] = [[] for _ in values]
    measured_on: list[list[_Look]] = [[] for _ in values]
    for one, place in zip(mine, which[: len(mine)].tolist(), strict=True):
        ours[place].append(one)
    for one, place in zip(theirs, which[len(mine) :].tolist(), strict=True):
        measured_on[place].append(one)
    asked = np.array([bool(some) for some in measured_on], np.bool_)
    equal = [(place, place, 0) for place in np.flatnonzero(asked).tolist()]
    batches = hamming.near(values, distance, asked=asked, threads=threads)
    pairs = (pair for batch in batches for pair in zip(*(part.tolist() for part in batch), strict=True))
    for first, second, bits in (*equal, *pairs):
        for a, b in {(first, second), (second, first)}:
            for one in ours[a]:
                for other in measured_on[b]:
                    if (
                        perceptual.colour_distance(*(np.array([look.colors], np.uint64) for look in (one, other)))[0]
                        > colour
                    ):
                        continue
                    row = {"sample_id": one.row["sample_id"], "origin": one.row["origins"][0], "view": one.row["view"]}
                    key = (row["sample_id"], row["view"], other.row["against"], other.row["reference"])
                    if key not in nearest or bits < nearest[key]["distance"]:
                        nearest[key] = {**row, **other.row, "distance": bits}
    yield from nearest.values()
