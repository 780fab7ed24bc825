"""Step: list every file of the sources and store the bytes of what is new."""

import functools
import time
from pathlib import Path

from pipeline import plugins
from pipeline.errors import InputError
from pipeline.manifest import ORIGINS, table_of
from pipeline.run import Run
from pipeline.stage import Tools, note
from pipeline.steps import priors


def run(run: Run, tools: Tools) -> str:
    """Save the table `origins`; says how many files there are.

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
    run.save("origins", table_of(rows, ORIGINS))
    note(tools, "ingest", computed=len(read), asked=len(rows), began=began)
    return f"{len(rows)} files, {sum(row['error'] is not None for row in rows)} unreadable"
