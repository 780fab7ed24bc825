"""A deployed flow that waits for people: woken, answered wrongly, found asleep by another, and killed around it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress

import pytest
from prefect.client.orchestration import get_client
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow
from prefect.flow_runs import resume_flow_run

from flows import review_resume, reviewing
from flows.retrain import retrain
from flows.steps import AWAITING
from pipeline.errors import AwaitingReview, InputError
from pipeline.review import journal
from pipeline.run import Run
from pipeline.workspace import Workspace

SECONDS = 900
"""A machine that does other work may take its time; a quiet one needs a minute for all of this file."""
SETTINGS = ["review.require=all", "train.steps=3", "evaluate.prompts=[]"]


class Deployed:
    """A deployment of the re-training of what lies in a folder, whose flow runs begin in this process."""

    def __init__(self, folder):
        self.workspace = Workspace.open(folder / "w")
        parameters = {
            "recipe": str(folder / "recipe.yaml"),
            "settings": SETTINGS,
            "workspace": str(self.workspace.root),
        }
        self.id = retrain.to_deployment(f"test-{folder.name}", parameters=parameters).apply()

    def begin(self, flow_run=None):
        """Run a new flow run, or one that was woken, until it ends or sleeps; its id and state."""
        with get_client(sync_client=True) as client:
            if flow_run is None:
                flow_run = client.create_flow_run_from_deployment(self.id).id
            with suppress(Pause):
                run_flow(retrain, flow_run=client.read_flow_run(flow_run), return_type="state")
            return flow_run, client.read_flow_run(flow_run).state

    @property
    def sleeper(self):
        """The newest run that fell asleep."""
        return Run.open(self.workspace, sorted(self.workspace.runs.glob("*/gate.json"))[-1].parent.name)


@pytest.fixture
def deployed(prefect, copied):
    return Deployed(copied)


@pytest.fixture
def reviewed(deployed):
    """Accepts all captions of the file that a sleeping flow wrote."""

    def accept(run):
        file = run.json("gate")["file"]
        return reviewing.apply(reviewing.look(run, run.folder / "review.csv", reviewer="ann", accept_rest=True)), file

    return accept


def runs(deployed):
    return sorted(path.parent.name for path in deployed.workspace.runs.glob("*/recipe.yaml"))


def test_it_sleeps_with_a_file_to_review_and_goes_on_with_the_same_run(deployed, reviewed, capfd):
    before = runs(deployed)
    sleeping, state = deployed.begin()
    assert (state.type, state.name) == ("PAUSED", "Suspended")
    run = deployed.sleeper
    assert runs(deployed) == [*before, run.id]
    assert (run.folder / "review.csv").exists()
    assert (run.folder / "report.html").exists()
    said = capfd.readouterr().err
    file = run.folder.resolve() / "review.csv"
    assert f"gesso review apply {deployed.workspace.root.resolve()} {file} --run {run.id} --resume" in said
    with deployed.workspace.lock("run"):
        pass  # whoever wants the workspace meanwhile can have it

    # another one that comes meanwhile prepares, and does not wait beside it
    _, state = deployed.begin()
    assert (state.type, state.name) == ("COMPLETED", AWAITING)
    assert str(sleeping) in state.message

    with pytest.raises(AwaitingReview, match="6 captions wait for a person still"):
        review_resume.resume(deployed.workspace)
    reviewed(run)
    told = review_resume.resume(deployed.workspace)
    assert (told.run.id, told.flow_run) == (run.id, str(sleeping))
    assert f"run {run.id} goes on" in told.words()
    with pytest.raises(InputError, match="no flow sleeps here"):
        review_resume.resume(deployed.workspace)
    _, state = deployed.begin(sleeping)
    assert (state.type, state.name) == ("COMPLETED", "Completed")
    assert len(runs(deployed)) == len(before) + 2
    assert Run.open(deployed.workspace, run.id).json("training")["steps"] == 3
    assert run.json("outcome") == {"exit_code": 0}


def test_an_answer_that_is_no_good_is_told_and_asked_for_again(deployed, capfd):
    flow_run, _ = deployed.begin()
    run = deployed.sleeper
    file = run.folder / "review.csv"
    with pytest.raises(RuntimeError, match="'fiel' was unexpected"):
        resume_flow_run(flow_run, run_input={"fiel": "x"})

    for number, (answer, problem) in enumerate(
        [
            ({"file": "nowhere.csv"}, "nowhere.csv: the file cannot be read"),
            ({"file": str(file), "reviewer": "a/b"}, "a reviewer's name names a file"),
            ({"file": str(file)}, ""),  # all left blank
        ],
        start=2,
    ):
        capfd.readouterr()
        resume_flow_run(flow_run, run_input=answer)
        _, state = deployed.begin(flow_run)
        assert (state.name, state.state_details.pause_key) == ("Suspended", f"review-{number}")
        assert problem in run.json("gate")["problem"]
        assert problem in capfd.readouterr().err
        assert journal.load(deployed.workspace.decisions).decisions == ()

    resume_flow_run(flow_run, run_input={"file": str(file), "reviewer": "ann", "accept_rest": True})
    _, state = deployed.begin(flow_run)
    assert state.is_completed()
    assert {one.reviewer for one in journal.load(deployed.workspace.decisions).decisions} == {"ann"}
    assert deployed.sleeper.id == run.id


def environment(home, address):
    """A scratch home for Prefect, a runner that looks often, and a client that soon tells that nobody answers."""
    return os.environ | {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": address,
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        "PREFECT_CLIENT_MAX_RETRIES": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }


class Machine:
    """Prefect's server and `gesso serve` on a machine that may lose either at any time."""

    def __init__(self, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder, self.address = folder, f"http://127.0.0.1:{self.port}/api"
        self.environment = environment(folder / "prefect", self.address)
        self.started = {}

    def gesso(self, *words):
        return [sys.executable, "-c", "from flows.cli.gesso import main; main()", *map(str, words)]

    def server(self):
        words = ["-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self.port)]
        self._start("server", [sys.executable, *words])
        until(lambda: self._answers())

    def serve(self):
        settings = [word for one in SETTINGS for word in ("--set", one)]
        self._start("serve", self.gesso("serve", "recipe.yaml", "-w", "w", "--every", "86400", *settings))

    def kill(self, name):
        """End a process and all that it started, without a word."""
        process = self.started.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def ask(self, path, body=None):
        """What the server answers; one that has just begun may ask for patience."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.address}{path}", data, {"Content-Type": "application/json"})  # noqa: S310 (our own server)
        end = time.monotonic() + SECONDS
        while True:
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 (the same)
                    return json.load(answer)
            except OSError as error:
                if getattr(error, "code", 503) < 500 or time.monotonic() > end:
                    raise
                time.sleep(0.5)

    def _answers(self):
        try:
            return urllib.request.urlopen(f"{self.address}/health", timeout=5).close() is None  # noqa: S310 (the same)
        except OSError:
            return False

    def _start(self, name, words):
        with (self.folder / f"{name}.log").open("ab") as log:
            self.started[name] = subprocess.Popen(
                words, cwd=self.folder, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )


def names(folder):
    return {path.name for path in folder.iterdir()}


def until(holds):
    end = time.monotonic() + SECONDS
    while not (found := holds()):
        assert time.monotonic() < end, "it never came so far"
        time.sleep(0.2)
    return found


@pytest.fixture
def machine(recipe, gesso, tmp_path):
    """One on which all pictures are prepared."""
    assert gesso("prepare", recipe(), "-w", "w", "--engine", "plain").exit_code == 0
    made = Machine(tmp_path)
    yield made
    for name in list(made.started):
        made.kill(name)


@pytest.mark.slow
def test_neither_the_server_nor_who_serves_is_needed_while_it_sleeps(machine):
    folder = machine.folder
    before = names(folder / "w" / "runs")
    machine.server()
    machine.serve()
    (deployment,) = until(lambda: machine.ask("/deployments/filter", {}))
    flow_run = machine.ask(f"/deployments/{deployment['id']}/create_flow_run", {})["id"]

    def state():
        return machine.ask(f"/flow_runs/{flow_run}")["state"]

    until(lambda: state()["name"] == "Suspended")
    (run,) = names(folder / "w" / "runs") - before
    file = folder / "w" / "runs" / run / "review.csv"
    review = file.read_bytes()

    # the server first, and for long enough that `gesso serve` notices; then both
    machine.kill("server")
    until(lambda: "does not answer; looking again" in (folder / "serve.log").read_text())
    machine.server()
    assert state()["name"] == "Suspended"
    machine.kill("serve")
    apply = machine.gesso("review", "apply", "w", file, "--reviewer", "ann", "--accept-rest", "--resume", "--run", run)
    done = subprocess.run(apply, cwd=folder, env=machine.environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"run {run} goes on" in done.stdout
    # woken, and nobody there to take it on: the server dies once more
    machine.kill("server")
    machine.server()
    machine.serve()

    ended = until(lambda: (told := state())["type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED") and told)
    assert ended["name"] == "Completed", ended
    assert names(folder / "w" / "runs") - before == {run}, "nothing was begun anew"
    assert len(names(folder / "w" / "trainings")) == 1
    assert file.read_bytes() == review
    said = journal.load(folder / "w" / "decisions")
    assert (len(said.decisions), len(said.batches()), said.problems) == (6, 1, ())
    stages = [json.loads(line)["name"] for line in (file.parent / "stages.jsonl").read_text().splitlines()]
    assert stages.count("train") == 1
