import json
import signal

import pyarrow as pa
import pytest

from flows.attempt import WAITING, Outcome, attempt
from pipeline import plan
from pipeline.run import Run
from pipeline.stage import Tools
from pipeline.stopping import Stopped


def test_a_step_that_is_done_says_what_it_did(begun):
    run, said = begun(), []
    outcome = attempt(run, "ingest", Tools(run.workspace, say=said.append))
    assert outcome == Outcome("ingest", "7 files, 0 unreadable", 0)
    assert said == ["ingest: 7 files, 0 unreadable"]
    assert run.json("outcome") == {}
    assert [stat.name for stat in run.stats()] == ["ingest"]


def test_a_users_mistake_ends_the_run_with_its_message_and_code(begun, pictures):
    run = begun()
    for path in pictures.iterdir():
        path.unlink()
    outcome = attempt(run, "ingest", Tools(run.workspace))
    assert outcome.exit_code == 2
    assert "there are no files here" in outcome.message
    assert run.json("outcome") == {"step": "ingest", "message": outcome.message, "exit_code": 2}
    assert not (run.folder / "error.txt").exists()


def test_what_nobody_foresaw_leaves_its_traceback_in_a_file(begun):
    run = begun()
    attempt(run, "ingest", Tools(run.workspace))
    run.save("origins", pa.table({"another": ["column"]}))
    outcome = attempt(run, "measure", Tools(run.workspace))
    assert outcome.exit_code == 1
    assert outcome.message.startswith("step measure failed: KeyError: ")
    assert outcome.message.endswith(f"More in {run.folder / 'error.txt'}")
    assert "\n" not in outcome.message
    assert "Traceback" in (run.folder / "error.txt").read_text()
    assert json.loads((run.folder / "outcome.json").read_text())["exit_code"] == 1


def test_a_damaged_file_is_named_with_what_to_do(begun):
    run = begun()
    attempt(run, "ingest", Tools(run.workspace))
    (run.folder / "origins.parquet").write_bytes(b"damaged")
    outcome = attempt(run, "measure", Tools(run.workspace))
    assert outcome.exit_code == 1
    assert outcome.message.startswith(f"{run.folder / 'origins.parquet'}: this file is damaged")
    assert outcome.message.endswith("Delete it, then run the same command again; what it held is computed anew.")


def test_a_full_disk_hides_neither_itself_nor_why_the_run_ended(begun, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    run = begun()
    monkeypatch.setattr(plan, "do", full)
    monkeypatch.setattr(Run, "save_json", full)
    outcome = attempt(run, "ingest", Tools(run.workspace))
    assert outcome.exit_code == 1
    assert "the disk is full" in outcome.message


def test_a_signal_is_written_down_and_goes_on(begun, monkeypatch):
    def stop(*_):
        raise Stopped(signal.SIGTERM)

    run = begun()
    monkeypatch.setattr(plan, "do", stop)
    with pytest.raises(Stopped):
        attempt(run, "ingest", Tools(run.workspace))
    assert run.json("outcome") == {"step": "ingest", "message": "stopped", "exit_code": 143}


def test_waiting_for_people_is_an_outcome_of_its_own(begun):
    run = begun(review={"require": "all"})
    tools = Tools(run.workspace)
    for step in ("ingest", "measure", "select", "caption"):
        assert attempt(run, step, tools).exit_code == 0
    outcome = attempt(run, "review", tools)
    assert outcome.exit_code == WAITING == 3
    assert "gesso review export" in outcome.message
