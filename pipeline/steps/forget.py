"""Not a step of a run: takes pictures out of a workspace for good, and says what they had reached."""

import json
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import tombstones
from pipeline.dedup import perceptual
from pipeline.duplicates import Near
from pipeline.errors import InputError
from pipeline.manifest import Row, read_table
from pipeline.steps import purge
from pipeline.tombstones import Tombstone
from pipeline.workspace import Workspace, write_bytes

SHORTEST_ID = 8
"""Fewest digits of a sample id that are taken for one."""
MARK = "REVOKED.json"
"""Lies in each training set, training and run that a forgotten picture reached."""
LOOKS = ("perceptual__hash", "perceptual__colors", "perceptual__flat")


@dataclass
class Reached:
    """Pictures, and what they reached."""

    samples: dict[str, Tombstone] = field(default_factory=dict)
    """By sample id."""
    origins: set[str] = field(default_factory=set)
    """The places that they came from, as tables name them."""
    alike: set[str] = field(default_factory=set)
    """Sample ids of what looks like them and stays in the workspace, though kept out of runs to come."""
    masks: set[str] = field(default_factory=set)
    """Sample ids of masks that are theirs alone."""
    captions: set[str] = field(default_factory=set)
    trainsets: set[str] = field(default_factory=set)
    trainings: set[str] = field(default_factory=set)
    runs: set[str] = field(default_factory=set)
    """Runs whose training set had them; `seen` are those that listed them at all."""
    seen: set[str] = field(default_factory=set)


def find(workspace: Workspace, named: str, *, look_alikes: bool = False) -> Reached:
    """The pictures that a name means in any run, and what they reached.

    A name is a sample id or its start, an origin as `gesso ledger` shows it, a folder or archive of origins, a file's
    path, or a creator; with a content go all others of the same pixels, and with `look_alikes` what looks like it by
    the defaults of `dedup.near`.

    Raises:
        InputError: no run knows such a picture, or the start of an id fits several.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    listed = {path.parent.name: read_table(path).to_pylist() for path in workspace.runs.glob("*/origins.parquet")}
    rows = [row for some in listed.values() for row in some if row["sample_id"]]
    wanted = {row["sample_id"] for row in rows if _means(named, row)}
    buried = {one.sample_id: one for one in tombstones.load(workspace.root).stones}
    started = {
        one
        for one in {*(row["sample_id"] for row in rows), *buried}
        if len(named) >= SHORTEST_ID and one.startswith(named.lower())
    }
    if len(started) > 1:
        raise InputError(
            f"this is the start of {len(started)} ids", field="WHAT", value=named, remedy="Give more of the id."
        )
    wanted |= started
    if not wanted:
        raise InputError(
            "no run of this workspace knows such a picture, origin or creator",
            field="WHAT",
            value=named,
            remedy="Give a path or id as `gesso ledger` shows it, or a creator as the metadata has it.",
        )
    found = Reached()
    measured = _measured(workspace)
    wanted |= _of_same_pixels(measured, wanted)
    found.alike = _alike(measured, wanted)
    if look_alikes:
        wanted |= _of_same_pixels(measured, found.alike)
        found.alike = set()
    for one in sorted(wanted):
        row = measured.get(one, {})
        known = row.get("perceptual__flat") is False
        found.samples[one] = buried.get(one) or Tombstone(
            sample_id=one,
            pixel_id=row.get("pixel_id"),
            look=row["perceptual__hash"] if known else None,
            colours=row["perceptual__colors"] if known else None,
            at=now,
        )
    for run, some in listed.items():
        own = [row for row in some if row["sample_id"] in wanted]
        found.seen |= {run} if own else set()
        found.origins |= {row["origin"] for row in own}
        found.masks |= {row["mask"] for row in own if row["mask"]}
    # many pictures have the same mask, such as a white one
    found.masks -= {row["mask"] for row in rows if row["sample_id"] not in wanted} | {None}
    _lineage(workspace, found)
    return found


def forget(workspace: Workspace, found: Reached) -> dict[str, Any]:
    """Take pictures out of the workspace for good; what they reached is named and marked.

    Tombstones come first, so that whatever ends this half-way, nothing comes back; done again, it goes on. To be called
    by who holds the workspace.
    """
    tombstones.add(workspace.root, found.samples.values())
    mark = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "why": "trained on pictures that were taken out for good with `gesso forget`",
        "samples": sorted(found.samples),
    }
    marked = [
        *(workspace.trainsets / one for one in sorted(found.trainsets)),
        *(workspace.root / "trainings" / one for one in sorted(found.trainings)),
        *(workspace.runs / one for one in sorted(found.runs)),
    ]
    for folder in marked:
        if folder.is_dir():
            _mark(folder / MARK, mark)
    changed = purge.purge(
        workspace,
        samples={*found.samples, *found.masks},
        pixels={one.pixel_id for one in found.samples.values() if one.pixel_id},
        origins=found.origins,
        captions=found.captions,
        runs=found.seen,
    )
    left = [str(path) for path in purge.left(workspace, found.samples)]
    return {**told(found), "files_changed": changed, "files_left": left}


def told(found: Reached) -> dict[str, Any]:
    """What is to be forgotten and what it reached, as plain values."""
    return {
        "pictures": sorted(found.samples),
        "look_alikes": sorted(found.alike),
        "origins": len(found.origins),
        "training_sets": sorted(found.trainsets),
        "trainings": sorted(found.trainings),
        "runs": sorted(found.runs),
    }


def _means(named: str, row: Row) -> bool:
    origin = row["origin"]
    if named in (origin, row["creator"], row["source_url"]):
        return True
    if not named.strip("/. "):  # all of a disk is nobody's wish
        return False
    if origin.startswith((named.rstrip("/") + "/", f"{named}#")):
        return True
    if "://" in named or "://" in origin:
        return False
    place, here = (os.path.normpath(Path.cwd() / one) for one in (named, origin))
    return here == place or here.startswith(f"{place}/")


def _measured(workspace: Workspace) -> dict[str, Row]:
    """Pixel id and looks of every sample of any run."""
    found: dict[str, Row] = {}
    for path in workspace.runs.glob("*/samples.parquet"):
        table = read_table(path)
        names = [name for name in ("sample_id", "pixel_id", *LOOKS) if name in table.column_names]
        found |= {row["sample_id"]: row for row in table.select(names).to_pylist()}
    return found


def _of_same_pixels(measured: Mapping[str, Row], wanted: Collection[str]) -> set[str]:
    pixels = {measured[one]["pixel_id"] for one in wanted if one in measured} - {None}
    return {one for one, row in measured.items() if row["pixel_id"] in pixels}


def _alike(measured: Mapping[str, Row], wanted: Collection[str]) -> set[str]:
    """Other samples that look like those that are wanted."""
    near, seen = Near(), {one: row for one, row in measured.items() if row.get("perceptual__flat") is False}
    theirs, others = [one for one in seen if one in wanted], [one for one in seen if one not in wanted]
    hashes, colours = (
        [np.array([seen[one][name] for one in some], np.uint64) for some in (others, theirs)] for name in LOOKS[:2]
    )
    other, own, _ = perceptual.neighbours(*hashes, distance=near.distance)
    close = perceptual.colour_distance(colours[0][other], colours[1][own]) <= near.colour
    return {others[place] for place in other[close]}


def _lineage(workspace: Workspace, found: Reached) -> None:
    """Which training sets, trainings and runs had the pictures, and under which captions."""
    captions: set[str] = set()
    for path in workspace.runs.glob("*/views.parquet"):
        rows = read_table(path, columns=["sample_id", "caption"]).to_pylist()
        own = {row["caption"] for row in rows if row["sample_id"] in found.samples}
        captions |= {row["caption"] for row in rows if row["sample_id"] not in found.samples}
        if own:
            found.captions |= own
            found.runs.add(path.parent.name)
            found.trainsets |= _told(path.with_name("trainset.json"), "digest")
            found.trainings |= _told(path.with_name("training.json"), "folder")
    found.captions -= captions
    for path in workspace.trainsets.glob("*/manifest.parquet"):
        if found.samples.keys() & set(read_table(path, columns=["sample_id"])["sample_id"].to_pylist()):
            found.trainsets.add(path.parent.name)
    # what was purged before, and marked then
    for folder in ("trainsets", "trainings", "runs"):
        for path in (workspace.root / folder).glob(f"*/{MARK}"):
            if set(json.loads(path.read_text())["samples"]) & found.samples.keys():
                getattr(found, folder).add(path.parent.name)


def _told(path: Path, key: str) -> set[str]:
    told = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {told[key]} if told.get(key) else set()


def _mark(path: Path, told: dict[str, Any]) -> None:
    before = json.loads(path.read_text())["samples"] if path.exists() else []
    samples = sorted({*before, *told["samples"]})
    write_bytes(path, json.dumps({**told, "samples": samples}, indent=1).encode())
