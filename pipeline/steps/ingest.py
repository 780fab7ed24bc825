"""Step: list every file of the sources and store the bytes of what is new."""

import functools
import time
from pathlib import Path

from pipeline import optouts, plugins
from pipeline.errors import InputError
from pipeline.manifest import ORIGINS, Row, table_of
from pipeline.run import Run
from pipeline.stage import Tools, ensure, note
from pipeline.steps import priors
from pipeline.workspace import Workspace


def run(run: Run, tools: Tools) -> str:
    """Save the table `origins`, with what files themselves say against training; says how many files there are.

    Raises:
        InputError: a source cannot be read, two name the same file, or there is nothing at all.
    """
    began = time.monotonic()
    rows, read = [], list[Path]()
    told = functools.partial(tools.progress, "ingest")
    for position, source in enumerate(run.recipe.sources):
        module = plugins.load("sources", source.kind, field=f"sources.{position}.kind")
        source = priors.ensure(run.located if source.painted else run.recipe, source, tools)
        rows += module.scan(source, position, run.workspace, on_read=read.append, progress=told)
    if len({row["origin"] for row in rows}) != len(rows):
        raise InputError(
            "two sources name the same files",
            field="sources",
            remedy="Take one away, or let their folders not overlap.",
        )
    if not rows:
        folders = ", ".join(str(source.path) for source in run.recipe.sources)
        raise InputError("there are no files here", field="sources", value=folders, remedy="Put pictures there.")
    _forget_masks(rows, run.workspace)
    _hear_objections(rows, tools)
    run.save("origins", table_of(rows, ORIGINS))
    note(tools, "ingest", computed=len(read), asked=len(rows), began=began)
    return f"{len(rows)} files, {sum(row['error'] is not None for row in rows)} unreadable"


def _forget_masks(rows: list[Row], workspace: Workspace) -> None:
    """Keep no mask of a picture that was forgotten, unless others have the same one."""
    gone = {row["origin"] for row in rows if (row["error"] or "").startswith("forgotten: ")}
    masks = [row for row in rows if row["mask_of"] in gone and row["sample_id"]]
    used = {row["mask"] for row in rows if row["origin"] not in gone}
    for row in masks:
        if row["sample_id"] not in used:
            workspace.original(row["sample_id"]).unlink(missing_ok=True)
        row.update(sample_id=None, bytes=None, mask_of=None, error="forgotten: the mask of what was taken out for good")
    for row in rows if masks else ():
        row["mask"] = None if row["origin"] in gone else row["mask"]


def _hear_objections(rows: list[Row], tools: Tools) -> None:
    """Put down of each place whether the file itself objects to training, whatever stands beside it."""
    samples = [{"sample_id": one} for one in sorted({row["sample_id"] for row in rows if row["sample_id"]})]
    before = len(tools.stats)
    stored = ensure(optouts, samples, optouts.Params(), tools, shard=optouts.SHARD)
    del tools.stats[before:]  # part of this step
    table = stored.table()
    objecting = table.filter(table["optouts__said"].is_valid()).to_pylist()
    said = {row["sample_id"]: row["optouts__said"] for row in objecting}
    for row in rows if said else ():
        if objection := said.get(row["sample_id"]):
            row.update(ai_optout=True, optout_source=f"{objection}, in the file")
