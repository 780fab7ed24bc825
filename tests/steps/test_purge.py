"""Each kind of file; that nothing is left of a whole workspace is tried in test_forget.py."""

import json
import zipfile

import pyarrow as pa
import pytest

from pipeline.manifest import read_table
from pipeline.steps.purge import left, purge
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
        origins=[["x/b.png", "x/a.png"]],
    )
    manifest = put(workspace, "trainsets/d/manifest.parquet", sample_id=["t"], origins=[["x/a.png", "x/b.png"]])
    thanks = workspace.trainsets / "d" / "ATTRIBUTION.md"
    thanks.write_text("- `x/a.png` (MIT): Eve\n- `x/b.png` (MIT): Bo\n")
    go(workspace)
    assert read_table(kept)["origins"].to_pylist() == [["x/b.png"]]
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


ONE, OTHER = "1" * 64, "2" * 64
SHEET = (
    "\ufeffid,file,caption\r\n"
    f's-{ONE[:16]},x/a.png,"two lines,\r\nof ""its"" own"\r\n'
    f's-{OTHER[:16]},x/a.png.copy,"an edit,\nnot applied yet"\r\n'
)


def test_of_files_for_reviewers_rows_pages_and_thumbnails_go_and_edits_stay(workspace):
    """They lie in the workspace, where `gesso review export` writes them if nobody says where."""
    root = workspace.root
    (root / "review_thumbnails").mkdir()
    for one in (ONE, OTHER):
        (root / "review_thumbnails" / f"s-{one[:16]}.jpg").write_bytes(b"picture")
        (root / f"{one[0]}.html").write_text(f"<td>s-{one[:16]}")
        with zipfile.ZipFile(root / f"{one[0]}.xlsx", "w") as book:
            book.writestr("sheet.xml", f"<v>s-{one[:16]}</v>")
    (root / "review.anna.csv").write_bytes(SHEET.encode())
    assert go(workspace, samples={ONE}) == 3
    first, _, last = SHEET.partition(f"s-{ONE[:16]}")
    assert (root / "review.anna.csv").read_bytes().decode() == first + last[last.index("s-") :]
    assert [path.name for path in sorted((root / "review_thumbnails").iterdir())] == [f"s-{OTHER[:16]}.jpg"]
    assert [path.name for path in sorted(root.glob("*.html"))] == ["2.html"]
    assert left(workspace, {ONE}) == [root / "1.xlsx"]
    assert go(workspace, samples={ONE}) == 0


def test_every_page_of_a_run_goes(workspace):
    folder = workspace.runs / "r"
    (folder / "thumbs").mkdir(parents=True)
    for name in ("report.html", "variety.html", "what-if.html", "report.json", "thumbs/a.jpg"):
        (folder / name).write_text("picture")
    (folder / "outcome.json").write_text("{}")
    assert go(workspace) == 5
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["outcome.json"]
