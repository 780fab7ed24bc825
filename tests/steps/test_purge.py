"""Each kind of file; that nothing is left of a whole workspace is tried in test_forget.py."""

import json

import pyarrow as pa
import pytest

from pipeline.manifest import read_table
from pipeline.steps.purge import purge
from pipeline.workspace import Workspace, write_table


@pytest.fixture
def workspace(tmp_path):
    return Workspace.create(tmp_path / "w")


def go(workspace, **more):
    told = {"samples": {"S1"}, "pixels": {"P1"}, "origins": {"x/a.png"}, "captions": {"own"}, "runs": ["r"], **more}
    return purge(workspace, **told)


def put(workspace, place, **columns):
    path = workspace.root / place
    write_table(path, pa.table(columns, schema=None).replace_schema_metadata({"gesso_stage": "x"}))
    return path


def test_rows_go_from_tables_and_all_else_stays(workspace):
    paths = [
        put(workspace, "tables/sharp/f/1.parquet", sample_id=["S1", "t"], value=[1.0, 2.0]),
        put(workspace, "tables/edges/f/1.parquet", pixel_id=["P1", "q"], value=[1.0, 2.0]),
        put(workspace, "runs/r/edges.parquet", a=["P1", "o"], b=["q", "q"], value=[1.0, 2.0]),
        put(workspace, "cache/texts/f/1.parquet", caption=["own", "shared"], value=[1.0, 2.0]),
        put(workspace, "cache/latents/f/1.parquet", sample_id=["S1", "t"], value=[1.0, 2.0]),
    ]
    alone = put(workspace, "cache/latents/f/2.parquet", sample_id=["S1"], value=[1.0])
    other = put(workspace, "cache/latents/f/3.parquet", sample_id=["t"], value=[1.0])
    before = other.stat().st_mtime_ns
    assert go(workspace) == 6
    for path in paths:
        table = read_table(path)
        assert table["value"].to_pylist() == [2.0]
        assert table.schema.metadata == {b"gesso_stage": b"x"}
    assert not alone.exists()
    assert other.stat().st_mtime_ns == before
    assert go(workspace) == 0


def test_places_are_taken_from_those_that_stay(workspace):
    kept = put(
        workspace,
        "runs/r/kept.parquet",
        sample_id=["t"],
        origins=[json.dumps([{"sample_id": "t", "origin": "x/b.png"}, {"sample_id": "S1", "origin": "x/a.png"}])],
    )
    manifest = put(workspace, "trainsets/d/manifest.parquet", sample_id=["t"], origins=[["x/a.png", "x/b.png"]])
    thanks = workspace.trainsets / "d" / "ATTRIBUTION.md"
    thanks.write_text("- `x/a.png` (MIT): Eve\n- `x/b.png` (MIT): Bo\n")
    go(workspace)
    assert read_table(kept)["origins"].to_pylist() == [json.dumps([{"sample_id": "t", "origin": "x/b.png"}])]
    assert read_table(manifest)["origins"].to_pylist() == [["x/b.png"]]
    assert thanks.read_text() == "- `x/b.png` (MIT): Bo\n"


def test_what_an_archive_held_is_read_again_as_a_whole(workspace):
    archive = put(workspace, "tables/files/a.parquet", name=["a", "b"], sample_id=["S1", "t"], told=["", ""])
    folder = put(workspace, "tables/files/b.parquet", path=["a", "b"], sample_id=["S1", "t"])
    go(workspace)
    assert not archive.exists()
    assert read_table(folder)["path"].to_pylist() == ["b"]


def test_decisions_keep_their_place_and_say_nothing(workspace):
    workspace.decisions.mkdir()
    line = {
        "pixel_id": "P1",
        "reviewer": "ann",
        "at": "t",
        "caption": "words",
        "note": "more",
        "batch": "b",
        "read": True,
    }
    other = json.dumps({**line, "pixel_id": "q"})
    (workspace.decisions / "ann.jsonl").write_text(json.dumps(line) + "\n" + other + "\n")
    (workspace.decisions / "drafts").mkdir()
    (workspace.decisions / "drafts" / "ann.jsonl").write_text(json.dumps({"pixel_id": "P1", "text": "wor"}) + "\n")
    go(workspace)
    lines = (workspace.decisions / "ann.jsonl").read_text().splitlines()
    assert json.loads(lines[0]) == {**line, "caption": None, "note": None}
    assert lines[1] == other
    assert (workspace.decisions / "drafts" / "ann.jsonl").read_text() == ""
