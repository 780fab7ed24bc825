"""Several real processes train one model: started by the command, or by a launcher that tells each its place."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest
import yaml
from safetensors.torch import load_file

from flows import launch
from pipeline.errors import RecipeError
from pipeline.recipe import load
from pipeline.starter import collection

SECONDS = 400
STEPS = 12
GESSO = [sys.executable, "-m", "flows.cli.gesso"]


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A recipe, and a workspace in which it was trained by one process."""
    folder = tmp_path_factory.mktemp("launch")
    collection.plain(folder / "pictures", count=7)
    recipe = {
        "name": "shared",
        "sources": [{"path": str(folder / "pictures"), "rights": {"license": "CC0-1.0"}}],
        "rights": {"allow": ["CC0-1.0"]},
        "dedup": {"near": None},
        "buckets": {"resolution": 32, "step": 8},
        "train": {"steps": STEPS, "batch_size": 4, "checkpoint_every": 100, "rank": 2, "learning_rate": 1e-3},
        "evaluate": {"prompts": [], "every": 0},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    done = subprocess.run(command(folder, "one"), env=environment(), capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    return folder


def command(folder, workspace, *more):
    return [*GESSO, "train", str(folder / "recipe.yaml"), "-w", str(folder / workspace), "--engine", "plain", *more]


def environment(**more):
    return {**os.environ, "OMP_NUM_THREADS": "1", "GESSO_DEVICE": "cpu", **more}


def prepared(work, name):
    """The workspace as it was before the training."""
    left_out = shutil.ignore_patterns("trainings", "runs", "locks")
    shutil.copytree(work / "one", work / name, ignore=left_out)
    return name


def trained(folder):
    """The losses of each step, and the adapter."""
    (training,) = (folder / "trainings").iterdir()
    rows = pq.read_table(training / "metrics.parquet").to_pylist()
    losses = [row["value"] for row in rows if row["name"] == "train/loss"]
    assert len(list((training / "tensorboard").iterdir())) == 1 + (folder.name == "stopped")
    return losses, load_file(training / "weights" / "pytorch_lora_weights.safetensors")


def same(one, other):
    assert len(one[0]) == STEPS
    assert one[0] == pytest.approx(other[0], rel=1e-4)
    assert one[1].keys() == other[1].keys()
    assert all(value.allclose(other[1][name], rtol=1e-2, atol=1e-4) for name, value in one[1].items())


@pytest.mark.slow
def test_two_processes_stop_by_one_signal_and_one_goes_on_to_what_one_alone_makes(work):
    name = prepared(work, "stopped")
    with subprocess.Popen(
        command(work, name, "--processes", "2"), env=environment(), stderr=subprocess.PIPE, text=True
    ) as process:
        ends = time.monotonic() + SECONDS
        while not any(one.stat().st_size > 200 for one in (work / name).glob("trainings/*/tensorboard/*")):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < ends
            time.sleep(0.02)
        process.terminate()
        _, said = process.communicate(timeout=SECONDS)
    assert process.returncode == 128 + signal.SIGTERM, said
    assert said.count("gesso: stopped") == 1
    assert "Traceback" not in said
    (checkpoint,) = (work / name).glob("trainings/*/checkpoints/step-*")
    assert 0 < int(checkpoint.name.removeprefix("step-")) < STEPS
    done = subprocess.run(command(work, name), env=environment(), capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    same(trained(work / name), trained(work / "one"))


@pytest.mark.slow
def test_processes_that_a_launcher_started_train_together_and_the_first_alone_speaks(work):
    name, port = prepared(work, "launched"), str(launch._free_port())
    both = [
        subprocess.Popen(
            command(work, name),
            env=environment(
                RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=port
            ),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    said = [one.communicate(timeout=SECONDS) for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    assert "training loss" in said[0][0]
    assert said[1] == ("", "")
    same(trained(work / name), trained(work / "one"))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("mpirun") is None, reason="accelerate starts several on a CPU through mpirun")
def test_accelerate_launches_two_processes_on_a_cpu(work, tmp_path):
    name, hosts = prepared(work, "accelerated"), tmp_path / "hosts"
    hosts.write_text("localhost slots=2\n")
    how = ("--cpu", "--num_processes", "2", "--num_machines", "1", "--mpirun_hostfile", str(hosts))
    launcher = [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        *how,
        "--main_process_port",
        str(launch._free_port()),
    ]
    done = subprocess.run(
        [*launcher, *command(work, name)[1:]],
        env=environment(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1"),
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("training loss") == 1
    same(trained(work / name), trained(work / "one"))


@pytest.mark.slow
def test_an_error_is_told_once_and_ends_all(work):
    # the rate rises, and the loss with it: at once too high, the loss would be high from the beginning
    rises = ("train.max_loss_rise=1.0001", "train.learning_rate=1", "train.warmup_steps=60", "train.steps=60")
    name = prepared(work, "failed")
    told = command(work, name, "--processes", "2", *(word for one in rises for word in ("--set", one)))
    done = subprocess.run(told, env=environment(), capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 1
    assert done.stderr.count("gesso: the ") == 1  # loss, or its gradient
    assert "Traceback" not in done.stderr


def test_what_several_processes_cannot_train_is_refused(work):
    recipe = load(work / "recipe.yaml", ())
    launch.check(recipe)
    with pytest.raises(RecipeError, match="cannot be shared out among processes"):
        launch.check(load(work / "recipe.yaml", ("train.method=vae",)))


def test_one_process_starts_none():
    with launch.processes(1) as place:
        assert place is None
