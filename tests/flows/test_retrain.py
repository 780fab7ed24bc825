import shutil

import pytest

from flows.retrain import reported, retrain
from flows.steps import AWAITING
from pipeline.review import journal
from pipeline.review.journal import Decision
from pipeline.run import Run
from pipeline.workspace import Workspace


@pytest.fixture(autouse=True)
def _server(prefect):
    pass


def run_again(folder, *settings):
    return retrain(str(folder / "recipe.yaml"), list(settings), str(folder / "w"), return_state=True)


def newest(folder):
    workspace = Workspace.open(folder / "w")
    return Run.open(workspace, workspace.latest_run().name)


def test_a_run_on_unchanged_data_is_skipped_and_says_why(copied, capfd):
    before = newest(copied)
    state = run_again(copied)
    assert (state.type, state.name) == ("COMPLETED", "Skipped")
    digest = before.json("trainset")["digest"][:12]
    reason = f"skipped, because run {before.id} has trained on training set {digest} with these settings already"
    assert state.message == reason
    assert f"retrain: {reason}" in capfd.readouterr().err
    assert newest(copied).json("outcome") == {"exit_code": 0, "skipped": reason}


def test_a_new_picture_is_trained_on(copied):
    pictures = copied / "more"
    shutil.copytree(newest(copied).recipe.sources[0].path, pictures)
    (pictures / "00000.png").unlink()
    before = newest(copied)
    state = run_again(copied, f"sources.0.path={pictures}")
    assert (state.type, state.name) == ("COMPLETED", "Completed")
    assert newest(copied).json("training")["folder"] != before.json("training")["folder"]
    assert (newest(copied).folder / "report.html").exists()


def test_a_training_that_did_not_come_to_its_report_is_not_skipped(copied):
    run = newest(copied)
    assert reported(run) is None
    (run.folder / "report.html").unlink()
    assert run_again(copied).name == "Completed"
    assert (newest(copied).folder / "report.html").exists()


def test_a_mistake_or_a_run_at_work_is_a_failure_with_its_message(copied):
    state = run_again(copied, "train.steps=many")
    assert state.is_failed()
    assert "train.steps" in state.message
    with Workspace.open(copied / "w").lock("run"):
        state = run_again(copied)
    assert state.is_failed()
    assert "the workspace is in use" in state.message


def test_it_waits_for_people(copied):
    state = run_again(copied, "review.require=all")
    assert (state.type, state.name) == ("COMPLETED", AWAITING)


def test_with_exclude_it_goes_on_with_what_is_decided(copied):
    settings = ("review={require: all, undecided: exclude}", "evaluate.prompts=[]")
    state = run_again(copied, *settings)
    assert (state.type, state.name) == ("COMPLETED", "Skipped")
    assert "nothing is decided yet: 6 captions wait for a person" in state.message
    rows = newest(copied).rows("reviewed")
    said = [
        Decision(pixel_id=row["pixel_id"], reviewer="ann", at=journal.now(), caption=row["proposed"])
        for row in rows[:2]
    ]
    journal.append(newest(copied).workspace.decisions, said)
    assert run_again(copied, *settings).name == "Completed"
    run = newest(copied)
    assert {row["sample_id"] for row in run.rows("views")} == {row["sample_id"] for row in rows[:2]}
    assert run.json("training")["folder"]
    assert run.json("outcome") == {"exit_code": 0}
    # nobody has decided more since
    assert run_again(copied, *settings).name == "Skipped"
