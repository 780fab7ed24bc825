"""Runs on disks that are too small, that cannot be written, or that go away; and the next run when they are well."""

import hashlib
import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from flows.attempt import attempt
from pipeline.recipe import parse
from pipeline.run import Run
from pipeline.stage import Tools
from pipeline.starter import collection
from pipeline.workspace import Workspace

GESSO = [sys.executable, "-c", "from flows.cli.gesso import main; main()"]
RECIPE = {
    "name": "small",
    "rights": {"allow": ["CC0-1.0"]},
    "dedup": {"near": None},
    "buckets": {"resolution": 32, "step": 8},
    "train": {"steps": 3, "batch_size": 2, "checkpoint_every": 1, "keep_checkpoints": 1},
    "evaluate": {"prompts": []},
}


def mount(folder, options):
    return subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder], capture_output=True).returncode == 0


@pytest.fixture
def small(tmp_path):
    """A disk of a megabyte; it takes root and a system with mounts."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not mount(folder, "size=1m"):
        pytest.skip("a disk cannot be mounted here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def recipe(pictures):
    return {**RECIPE, "sources": [{"path": str(pictures), "rights": {"license": "CC0-1.0"}}]}


def prepared(path, workspace):
    command = [*GESSO, "prepare", path, "-w", workspace, "--engine", "plain", "--until", "select"]
    return subprocess.run(command, capture_output=True, text=True)


def contents(folder):
    """Hash, time of change and mode of every file."""
    return {
        path.name: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns, path.stat().st_mode)
        for path in folder.iterdir()
    }


def test_a_full_disk_is_one_sentence_and_with_more_room_the_run_goes_on(small, tmp_path):
    collection.plain(tmp_path / "pictures", count=5)
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe(tmp_path / "pictures")))
    before = contents(tmp_path / "pictures")
    command = [*GESSO, "run", tmp_path / "recipe.yaml", "-w", small / "w", "--engine", "plain"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    full = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert full.returncode == 1, full.stderr
    assert "Traceback" not in full.stderr
    said = full.stderr.splitlines()[-1]
    assert re.fullmatch(
        rf"gesso: {small}/w.*: the disk is full \(got '\d\.\d MiB free'\)\. Make room there, then run the same command "
        r"again; what was done is kept\.",
        said,
    )
    assert (small / "w" / "originals").exists()
    assert mount(small, "remount,size=100m")
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "report: " in done.stdout
    assert contents(tmp_path / "pictures") == before


def test_sources_that_cannot_be_written_are_only_read(small, tmp_path):
    collection.plain(small / "pictures", count=5)
    before = contents(small / "pictures")
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe(small / "pictures")))
    assert mount(small, "remount,ro")
    done = prepared(tmp_path / "recipe.yaml", tmp_path / "w")
    assert done.returncode == 0, done.stderr
    assert contents(small / "pictures") == before


def test_a_workspace_that_cannot_be_written_is_one_sentence(small, tmp_path):
    collection.plain(tmp_path / "pictures", count=5)
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe(tmp_path / "pictures")))
    assert prepared(tmp_path / "recipe.yaml", small / "w").returncode == 0
    assert mount(small, "remount,ro")
    refused = prepared(tmp_path / "recipe.yaml", small / "w")
    assert refused.returncode in (1, 2)
    assert "Traceback" not in refused.stderr
    assert "read-only" in refused.stderr.lower()
    looked = subprocess.run([*GESSO, "ledger", small / "w"], capture_output=True, text=True)
    assert looked.returncode == 0, looked.stderr
    assert mount(small, "remount,rw")
    assert prepared(tmp_path / "recipe.yaml", small / "w").returncode == 0


def test_a_workspace_that_goes_away_while_a_run_works_is_one_sentence(tmp_path):
    collection.plain(tmp_path / "pictures", count=3)
    run = Run.create(Workspace.create(tmp_path / "w"), parse(recipe(tmp_path / "pictures")), command="a test")
    assert attempt(run, "ingest", Tools(run.workspace)).exit_code == 0
    shutil.rmtree(tmp_path / "w")
    ended = attempt(run, "measure", Tools(run.workspace))
    assert ended.exit_code == 1
    assert ended.message.endswith("the run's folder is gone. Bring it back, or run the same command again.")
    assert not (tmp_path / "w").exists()
