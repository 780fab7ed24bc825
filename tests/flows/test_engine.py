import subprocess
import sys

import pytest

from flows import engine
from flows.steps import AWAITING
from pipeline import plan
from pipeline.recipe import load
from pipeline.run import Run
from pipeline.workspace import Workspace


@pytest.fixture(params=["plain", "prefect"])
def either(request):
    """Both engines; Prefect's with a server."""
    if request.param == "prefect":
        request.getfixturevalue("prefect")
    return request.param


def latest(folder):
    workspace = Workspace.open(folder)
    return Run.open(workspace, workspace.latest_run().name)


def states(run):
    return {name: list(run.rows(name)) for name in ("ledger", "captions")}


def test_both_engines_come_to_the_same(recipe, gesso, prefect, tmp_path):
    path = recipe()
    for name in ("plain", "prefect"):
        done = gesso("prepare", path, "-w", name, "--engine", name)
        assert done.exit_code == 0, done.output
        assert "6 kept" in done.stdout
        assert f"report: {name}/runs/" in done.stdout
    assert states(latest(tmp_path / "plain")) == states(latest(tmp_path / "prefect"))


def test_prepare_ends_after_the_step_named(recipe, gesso, either, tmp_path):
    done = gesso("prepare", recipe(), "-w", "w", "--engine", either, "--until", "select")
    assert done.exit_code == 0, done.output
    run = latest(tmp_path / "w")
    assert run.rows("kept")
    assert not run.rows("captions")
    assert not (run.folder / "report.html").exists()


def test_a_failed_step_is_one_message_and_a_failed_flow(recipe, gesso, either, pictures, request):
    path = recipe()
    for one in pictures.iterdir():
        one.unlink()
    done = gesso("prepare", path, "-w", "w", "--engine", either)
    assert done.exit_code == 2
    assert done.stderr.startswith("gesso: sources: there are no files here")
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.output
    if either == "prefect":
        run = done.stdout.split()[1]
        (flow_run,) = request.getfixturevalue("flow_runs")(f"chain-{run}")
        assert flow_run.state.is_failed()
        assert "there are no files here" in flow_run.state.message


def test_a_bug_is_one_message_too(recipe, gesso, either, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(plan, "do", broken)
    done = gesso("prepare", recipe(), "-w", "w", "--engine", either)
    assert done.exit_code == 1
    assert done.stderr.startswith("gesso: step ingest failed: ZeroDivisionError: a bug. More in w/runs/")
    assert done.stderr.count("\n") == 1


def test_a_run_waits_for_people_and_goes_on_when_they_have_decided(recipe, gesso, flow_runs, tmp_path):
    command = ["train", recipe(review={"require": "all"}, evaluate={}), "-w", "w"]
    waiting = gesso(*command)
    assert waiting.exit_code == 3
    assert waiting.stderr.splitlines()[-1].startswith("gesso: 6 of 6 captions wait for a person")
    run = latest(tmp_path / "w")
    assert (run.folder / "report.html").exists()
    assert {row["state"] for row in run.rows("ledger")} == {"awaiting_review", "quarantined"}
    (flow_run,) = flow_runs(f"chain-{run.id}")
    assert (flow_run.state.type, flow_run.state.name) == ("COMPLETED", AWAITING)

    assert gesso("review", "export", "w").exit_code == 0
    assert gesso("review", "apply", "w", "w/review.csv", "--accept-rest", "--reviewer", "me").exit_code == 0
    done = gesso(*command)
    assert done.exit_code == 0, done.output
    assert "training loss" in done.stdout


def test_the_whole_chain_through_prefect(finished, done_run, flow_runs):
    said = (finished / "said.txt").read_text()
    for part in ("7 files came in", "6 kept", "1 quarantined", "training loss", "measure", "report: "):
        assert part in said
    outcome = done_run.json("outcome")
    assert outcome["exit_code"] == 0
    assert outcome["seconds"] > 0
    (whole,) = flow_runs(f"gesso-{done_run.id}")
    parts = [one.name.split("-")[0] for one in flow_runs(done_run.id) if one.parent_task_run_id]
    assert whole.state.is_completed()
    assert parts == ["prepare", "review", "train", "evaluate"]


def test_a_second_run_finds_everything_cached(copied, gesso):
    done = gesso("run", "recipe.yaml", "-w", "w", "--engine", "plain")
    assert done.exit_code == 0, done.output
    stats = {stat.name: stat for stat in latest(copied / "w").stats()}
    assert {name: stat.computed for name, stat in stats.items()} == dict.fromkeys(stats, 0)
    assert stats["train"].cached == 2


def test_one_run_at_a_time(recipe, gesso, tmp_path):
    path = recipe()
    workspace = Workspace.create(tmp_path / "w")
    with workspace.lock("run"):
        done = gesso("prepare", path, "-w", "w", "--engine", "plain")
    assert done.exit_code == 2
    assert "the workspace is in use" in done.stderr


def test_an_empty_folder_becomes_the_workspace(recipe, tmp_path, capsys):
    (tmp_path / "w").mkdir()
    run = engine.go(load(recipe()), tmp_path / "w", engine="plain", part="prepare", until="ingest", command="a test")
    assert run.json("run")["command"] == "a test"
    assert capsys.readouterr().out.startswith(f"run {run.id} of drawn")


def test_the_plain_engine_does_not_import_prefect(recipe, tmp_path):
    code = (
        "import sys\n"
        "from flows.cli.gesso import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as done: print('ended', done.code, 'prefect' in sys.modules)"
    )
    words = ["prepare", recipe(), "-w", "w", "--engine", "plain", "--until", "select"]
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "ended 0 False", done.stderr
