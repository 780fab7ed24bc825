"""A run in a process of its own: what others may do meanwhile, and how it ends when it is told to."""

import hashlib
import os
import signal
import subprocess
import sys
import time

import pytest
import yaml
from click.testing import CliRunner

from flows.cli.gesso import main
from pipeline import atomic
from pipeline.run import Run
from pipeline.starter import collection
from pipeline.workspace import Workspace

SECONDS = 240
GESSO = [sys.executable, "-c", "from flows.cli.gesso import main; main()"]


def waited(ready, process):
    """What `ready` finds, as soon as it finds something."""
    ends = time.monotonic() + SECONDS
    while not (found := ready()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < ends
        time.sleep(0.1)
    return found


def told(folder, *words):
    """A command's result; it must have worked."""
    done = CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def of_files(folder):
    """Hash, time of change and mode of every file below a folder."""
    return {
        path.name: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns, path.stat().st_mode)
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def asked(tmp_path):
    """A recipe whose training takes far longer than any test."""
    collection.plain(tmp_path / "pictures", count=5)
    recipe = {
        "name": "long",
        "sources": [{"path": str(tmp_path / "pictures"), "rights": {"license": "CC0-1.0"}}],
        "rights": {"allow": ["CC0-1.0"]},
        "dedup": {"near": None},
        "buckets": {"resolution": 32, "step": 8},
        "train": {"steps": 100_000, "batch_size": 2, "checkpoint_every": 10, "rank": 2},
        "evaluate": {"prompts": [], "every": 0},
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


@pytest.fixture
def training(asked, tmp_path):
    """That training in a process, with a checkpoint done; its workspace is `w`."""
    before = of_files(tmp_path / "pictures")
    words = ["train", str(asked), "-w", str(tmp_path / "w"), "--engine", "plain"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen([*GESSO, *words], env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            waited(lambda: list((tmp_path / "w").glob("trainings/*/checkpoints/step-*")), process)
            yield process
        finally:
            process.kill()
    assert of_files(tmp_path / "pictures") == before


def steps(workspace):
    return [int(path.name.removeprefix("step-")) for path in workspace.glob("trainings/*/checkpoints/step-*")]


def test_while_one_trains_others_look_and_review_but_do_not_run_and_it_stops_with_a_checkpoint(
    training, asked, tmp_path
):
    w = tmp_path / "w"
    second = CliRunner().invoke(main, ["prepare", str(asked), "-w", str(w), "--engine", "plain"])
    assert second.exit_code == 2
    assert f"process {training.pid} on " in second.stderr
    assert f"gesso train {asked} -w {w}" in second.stderr.replace("'", "").replace("-c", "gesso")
    assert "5 in all" in told(w, "ledger", w)
    assert "train" in told(w, "plan", asked, "-w", w)
    assert told(w, "report", w).strip().endswith("report.html")
    told(w, "review", "export", w)
    assert "5 decisions applied" in told(w, "review", "apply", w, w / "review.csv", "--accept-rest", "--reviewer", "me")
    assert training.poll() is None
    at = max(steps(w))
    training.terminate()
    _, said = training.communicate(timeout=SECONDS)
    assert training.returncode == 128 + signal.SIGTERM
    assert said.splitlines()[-1] == "gesso: stopped; what was done is kept, run the same command again to go on"
    assert "Traceback" not in said
    assert max(steps(w)) > at
    assert not [path for path in w.rglob("*") if atomic.is_part(path.name)]
    assert not (w / "locks" / "run.holder").exists()
    workspace = Workspace.open(w)
    outcome = Run.open(workspace, workspace.latest_run().name).json("outcome")
    assert outcome == {"step": "train", "message": "stopped", "exit_code": 128 + signal.SIGTERM}


def test_a_training_that_was_told_to_stop_goes_on_to_the_same_bytes(asked, tmp_path):
    steps_in_all = 30
    words = ["--engine", "plain", "--set", f"train.steps={steps_in_all}", "--set", "train.checkpoint_every=1000"]
    words = ["train", str(asked), *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GESSO_DEVICE": "cpu"}
    w = tmp_path / "w"
    with subprocess.Popen(
        [*GESSO, *words, "-w", str(w)], env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        # its first numbers are on the disk: it is in the middle
        waited(lambda: any(one.stat().st_size > 200 for one in w.glob("trainings/*/tensorboard/*")), process)
        process.terminate()
        _, said = process.communicate(timeout=SECONDS)
    assert process.returncode == 128 + signal.SIGTERM, said
    (at,) = steps(w)
    assert 0 < at < steps_in_all
    for workspace in (w, tmp_path / "undisturbed"):
        subprocess.run(
            [*GESSO, *words, "-w", str(workspace)], env=environment, check=True, capture_output=True, timeout=SECONDS
        )
    (stopped,), (straight,) = ((one / "trainings").iterdir() for one in (w, tmp_path / "undisturbed"))
    assert stopped.name == straight.name
    files = [path.relative_to(straight) for path in sorted((straight / "weights").rglob("*")) if path.is_file()]
    assert files
    for path in (*files, "metrics.parquet"):
        assert (stopped / path).read_bytes() == (straight / path).read_bytes(), path
