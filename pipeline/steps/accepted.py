"""What earlier runs of a workspace accepted and this one does not have: pictures that new ones are held against."""

from collections.abc import Mapping

from pipeline import tombstones
from pipeline.manifest import Row, read_table
from pipeline.recipe import Recipe
from pipeline.run import Run
from pipeline.scorers import canonical
from pipeline.stage import Tools
from pipeline.steps import measure


def before(run: Run, verdicts: Mapping[str, str]) -> dict[str, str]:
    """Sample ids, each with the name of a file that it came from, of what other runs of the workspace kept.

    Not those that this run has itself, in other bytes of the same pixels either, nor what people dropped since, nor
    what was forgotten or is gone. Class pictures are nobody's training picture and do not count.
    """
    own, buried = run.rows("samples", ("sample_id", "pixel_id")), tombstones.load(run.workspace.root)
    pixels = {row["pixel_id"] for row in own} | buried.pixels | {one for one in verdicts if verdicts[one] == "drop"}
    samples = {row["sample_id"] for row in own} | buried.samples
    found: dict[str, str] = {}
    for path in sorted(run.workspace.runs.glob("*/kept.parquet")):
        rows = read_table(path, columns=["sample_id", "pixel_id", "split"]).to_pylist()
        kept = {row["sample_id"] for row in rows if row["split"] != "prior" and row["pixel_id"] not in pixels}
        if wanted := kept - samples - found.keys():
            origins = read_table(path.with_name("origins.parquet"), columns=["sample_id", "origin"]).to_pylist()
            found |= {row["sample_id"]: row["origin"] for row in origins if row["sample_id"] in wanted}
    return {one: name for one, name in found.items() if run.workspace.original(one).exists()}


def measured(samples: Mapping[str, str], recipe: Recipe, tools: Tools) -> list[Row]:
    """What pictures are compared by, from the tables of earlier runs; without those that cannot be decoded."""
    before = len(tools.stats)
    table = measure.measured([(canonical, canonical.Params()), *measure.comparers(recipe)], samples, tools)
    del tools.stats[before:]  # part of the step that asks
    return [row for row in table.to_pylist() if not row["error"]]
