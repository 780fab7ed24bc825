import csv

import pytest

from flows.review_undo import undo
from flows.reviewing import apply, export, look
from pipeline.errors import ReviewError
from pipeline.review import journal
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
    rows = rows_of(path)
    rows[number].update(cells)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def test_the_last_file_is_taken_back_and_can_be_applied_again(run, tmp_path):
    path = tmp_path / "r.csv"
    export(run, path, replace=False)
    old = rows_of(path)[0]["caption"]
    edit(path, caption="a better caption")
    apply(look(run, path, reviewer="me"))
    done = undo(run, reviewer="me")
    assert done.decisions == 1
    assert done.kept.read_bytes() == path.read_bytes()
    export(run, tmp_path / "back.csv", replace=False)
    assert old in (tmp_path / "back.csv").read_text(encoding="utf-8-sig")
    with pytest.raises(ReviewError, match="no file was applied that is not undone"):
        undo(run)
    apply(look(run, done.kept, reviewer="me"))
    assert len(journal.load(run.workspace.decisions).latest()) == 1, "what was undone is done again with the kept file"


def test_undo_takes_back_the_batch_that_is_named(run, tmp_path):
    path = tmp_path / "r.csv"
    export(run, path, replace=False)
    edit(path, 0, caption="one of them")
    first = apply(look(run, path, reviewer="me")).batch
    edit(path, 1, caption="another one")
    apply(look(run, path, reviewer="me"))
    assert undo(run, batch=first).batch == first
    captions = [one.caption for one in journal.load(run.workspace.decisions).latest().values()]
    assert captions == ["another one"]
    with pytest.raises(ReviewError, match="no such batch"):
        undo(run, batch=first)
