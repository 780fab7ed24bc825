"""A run on a disk that is too small for it, and the next one on the same disk made larger."""

import os
import re
import subprocess
import sys

import pytest
import yaml

from pipeline.starter import collection

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


def test_a_full_disk_is_one_sentence_and_with_more_room_the_run_goes_on(small, tmp_path):
    collection.plain(tmp_path / "pictures", count=5)
    source = {"path": str(tmp_path / "pictures"), "rights": {"license": "CC0-1.0"}}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump({**RECIPE, "sources": [source]}))
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
