import csv

import pytest
from PIL import Image

from flows.reviewing import apply, export
from pipeline.errors import InputError, ReviewError
from pipeline.run import Run
from pipeline.workspace import Workspace


@pytest.fixture
def run(copied):
    workspace = Workspace.open(copied / "w")
    return Run.open(workspace, workspace.latest_run().name)


def edit(path, **cells):
    """Changes cells of the first row."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    rows[0].update(cells)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def test_an_export_has_captions_and_pictures_and_says_what_comes_next(run, tmp_path):
    path = tmp_path / "out" / "r.csv"
    path.parent.mkdir()
    told = export(run, path, replace=False).words()
    assert told.startswith(f"6 captions written to {path}")
    assert f"gesso review apply {run.workspace.root} {path}" in told
    pictures = list((tmp_path / "out" / "r_thumbnails").iterdir())
    assert len(pictures) == 6
    with Image.open(pictures[0]) as picture:
        assert picture.format == "JPEG"
    with pytest.raises(ReviewError, match="there already"):
        export(run, path, replace=False)
    assert export(run, path, replace=True).words() == told


def test_an_unedited_export_is_no_change(run, tmp_path):
    export(run, tmp_path / "r.csv", replace=False)
    assert apply(run, tmp_path / "r.csv", reviewer="me").words().endswith("no change")
    assert list(run.workspace.decisions.glob("*")) == []


def test_an_edit_is_shown_then_applied_then_there(run, tmp_path):
    path = tmp_path / "r.csv"
    export(run, path, replace=False)
    edit(path, caption="a better caption")
    told = apply(run, path, reviewer="me", dry_run=True).words()
    assert "a better caption" in told
    assert told.endswith("nothing was applied (--dry-run)")
    assert apply(run, path, reviewer="me").words().endswith("1 decisions applied")
    export(run, tmp_path / "again.csv", replace=False)
    assert "a better caption" in (tmp_path / "again.csv").read_text(encoding="utf-8-sig")
    assert apply(run, path, reviewer="me").words().endswith("no change")


def test_a_run_without_captions_is_told(begun, tmp_path):
    run = begun()
    with pytest.raises(InputError, match="no captions to review"):
        export(run, tmp_path / "r.csv", replace=False)
    with pytest.raises(InputError, match="no captions to review"):
        apply(run, tmp_path / "r.csv", reviewer="me")
