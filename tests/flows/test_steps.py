from typing import Any

import pytest
from prefect import flow
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Completed

from flows.steps import AWAITING, ended, go, step


@pytest.fixture(autouse=True)
def _server(prefect):
    pass


@flow
def through(workspace: str, run_id: str, names: list[str]) -> State[Any]:
    return go(workspace, run_id, names)


def through_(run, *names):
    return through(str(run.workspace.root), run.id, list(names), return_state=True)


def test_a_flow_of_one_task_runs(begun):
    run = begun()
    state = through_(run, "ingest")
    assert state.is_completed()
    assert state.message == "7 files, 0 unreadable"
    assert len(run.rows("origins")) == 7


def test_steps_are_never_cached_by_prefect(begun):
    assert step.cache_policy is NO_CACHE
    run = begun()
    through_(run, "ingest", "ingest")
    assert [stat.name for stat in run.stats()] == ["ingest", "ingest"]


def test_a_step_that_fails_ends_the_flow_as_failed_with_its_message(begun, pictures, capfd):
    run = begun()
    for path in pictures.iterdir():
        path.unlink()
    state = through_(run, "ingest", "measure")
    assert state.is_failed()
    assert "there are no files here" in state.message
    assert run.stats() == []
    assert "Traceback" not in "".join(capfd.readouterr())


def test_a_step_that_waits_ends_the_flow_as_awaiting_review(begun):
    state = through_(begun(review={"require": "all"}), "ingest", "measure", "select", "caption", "review", "trainset")
    assert state.is_completed()
    assert state.name == AWAITING
    assert "6 of 6 captions wait" in state.message


def test_the_report_is_linked_by_an_artifact(begun):
    run = begun()
    through_(run, "ingest", "measure", "select", "report")
    with get_client(sync_client=True) as client:
        links = [one.data for one in client.read_artifacts() if one.key == "report"]
    path = run.folder / "report.html"
    assert path.exists()
    assert f"[report.html]({path.resolve().as_uri()})" in links


def test_what_ends_a_run_early():
    assert not ended(Completed())
    assert ended(Completed(name=AWAITING))
    assert ended(Cancelled())
