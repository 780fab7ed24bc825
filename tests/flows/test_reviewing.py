import csv

import openpyxl
import pytest
from PIL import Image

from flows.reviewing import apply, export, export_conflicts, look, measure_fit
from pipeline.errors import InputError, ReviewError
from pipeline.review import conflicts, journal
from pipeline.review.order import Wanted
from pipeline.run import Run
from pipeline.workspace import Workspace


@pytest.fixture
def run(copied):
    workspace = Workspace.open(copied / "w")
    return Run.open(workspace, workspace.latest_run().name)


def rows_of(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def edit(path, number=0, **cells):
    """Changes cells of a row."""
    rows = rows_of(path)
    rows[number].update(cells)
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


def test_a_workbook_has_the_pictures_in_its_cells(run, tmp_path):
    export(run, tmp_path / "r.xlsx", replace=False)
    assert len(openpyxl.load_workbook(tmp_path / "r.xlsx")["captions"]._images) == 6
    assert apply(look(run, tmp_path / "r.xlsx", reviewer="me")).words() == "no change"


def test_a_batch_for_each_reviewer(run, tmp_path):
    done = export(run, tmp_path / "r.csv", replace=False, assign=["anna", "bo"], overlap=1.0)
    assert list(done.files.values()) == [6, 6]
    assert [path.name for path in done.files] == ["r.anna.csv", "r.bo.csv"]
    assert {row["reviewer"] for row in rows_of(tmp_path / "r.bo.csv")} == {"bo"}
    edit(tmp_path / "r.bo.csv", caption="Bo's caption")
    apply(look(run, tmp_path / "r.bo.csv"))
    assert [path.name for path in run.workspace.decisions.glob("*.jsonl")] == ["bo.jsonl"]
    with pytest.raises(ReviewError, match="names a file"):
        export(run, tmp_path / "q.csv", replace=False, assign=["../anna"])


def test_a_decision_between_look_and_apply_is_not_overlooked(run, tmp_path):
    export(run, tmp_path / "r.csv", replace=False, reviewer="anna")
    edit(tmp_path / "r.csv", caption="a better caption")
    found = look(run, tmp_path / "r.csv")
    said = journal.Decision(pixel_id="p", reviewer="bo", at=journal.now(), verdict="drop")
    journal.append(run.workspace.decisions, [said])
    with pytest.raises(ReviewError, match="somebody decided something just now"):
        apply(found)
    assert apply(look(run, tmp_path / "r.csv")).decisions == 1
    assert (run.workspace.decisions / "anna.jsonl").exists()


def test_the_worst_fit_comes_first(run, tmp_path):
    measure_fit(run)
    export(run, tmp_path / "r.csv", replace=False)
    fits = [float(row["scores"].removeprefix("fit ")) for row in rows_of(tmp_path / "r.csv")]
    assert len(fits) == 6
    assert fits[0] == min(fits)


def test_filters_choose_and_limit(run, tmp_path):
    assert export(run, tmp_path / "r.csv", replace=False, wanted=Wanted(limit=2)).value()["captions"] == 2
    assert export(run, tmp_path / "q.csv", replace=False, wanted=Wanted(flags=("none such",))).value()["captions"] == 0


def test_an_unedited_export_is_no_change(run, tmp_path):
    export(run, tmp_path / "r.csv", replace=False)
    assert apply(look(run, tmp_path / "r.csv", reviewer="me")).words() == "no change"
    assert list(run.workspace.decisions.glob("**/*")) == []


def test_an_edit_is_shown_then_applied_then_there(run, tmp_path):
    path = tmp_path / "r.csv"
    export(run, path, replace=False)
    edit(path, caption="a better caption")
    told = []
    found = look(run, path, reviewer="me", tell=told.append)
    assert told == [f"Read {path}: 6 rows of text in UTF-8, separated by commas"]
    assert found.words().startswith("1 edited")
    assert "a better caption" in found.words()
    assert apply(found, dry_run=True).words() == "nothing was applied (--dry-run)"
    assert apply(found).words().startswith("1 decisions applied; to take them back: gesso review undo")
    export(run, tmp_path / "again.csv", replace=False)
    assert "a better caption" in (tmp_path / "again.csv").read_text(encoding="utf-8-sig")
    assert apply(look(run, path, reviewer="me")).words() == "no change"


def test_two_reviewers_and_a_person_who_decides(run, tmp_path):
    export(run, tmp_path / "r.csv", replace=False, assign=["anna", "bo"], overlap=1.0)
    edit(tmp_path / "r.anna.csv", caption="Anna's caption")
    edit(tmp_path / "r.bo.csv", caption="Bo's caption")
    edit(tmp_path / "r.bo.csv", 1, caption="only Bo's")
    apply(look(run, tmp_path / "r.anna.csv"))
    found = look(run, tmp_path / "r.bo.csv")
    with pytest.raises(ReviewError, match="1 pictures were decided otherwise here"):
        apply(found)
    assert journal.load(run.workspace.decisions).of_each().keys() == {"anna"}, "nothing was applied"
    done = apply(found, set_aside=tmp_path / "c.csv")
    assert (done.decisions, done.conflicts) == (1, tmp_path / "c.csv")
    (row,) = rows_of(tmp_path / "c.csv")
    assert row["candidates"].split("\n")[:2] == ["Bo's caption", "Anna's caption"]
    assert row["caption"] == "Anna's caption"
    edit(tmp_path / "c.csv", caption="both are right")
    apply(look(run, tmp_path / "c.csv", reviewer="cy"))
    folder = run.workspace.decisions
    assert conflicts.waiting(folder, journal.load(folder)) == []
    assert "both are right" in {one.caption for one in journal.load(folder).latest().values()}
    assert export_conflicts(run, tmp_path / "d.csv").words() == "no conflict waits for a person"
    assert not (tmp_path / "d.csv").exists()


def test_anothers_rows_can_be_taken_over_and_that_is_told(run, tmp_path):
    export(run, tmp_path / "r.csv", replace=False, assign=["anna"])
    edit(tmp_path / "r.anna.csv", decision="drop")
    found = look(run, tmp_path / "r.anna.csv", reviewer="bo")
    assert "Rows of anna are taken as bo's (--reviewer)" in found.words()
    assert [one.reviewer for one in found.changes.decisions] == ["bo"]


def test_a_run_without_captions_is_told(begun, tmp_path):
    run = begun()
    with pytest.raises(InputError, match="no captions to review"):
        export(run, tmp_path / "r.csv", replace=False)
    with pytest.raises(InputError, match="no captions to review"):
        look(run, tmp_path / "r.csv", reviewer="me")
