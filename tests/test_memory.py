import sys

import numpy as np
import pytest

from pipeline import memory


def test_a_peak_is_of_this_process_in_mib():
    assert 10 < memory.peak_mib() < 100_000


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forgets the high-water mark")
def test_what_was_let_go_before_the_last_call_is_forgotten():
    memory.peak_mib()
    taken = np.ones(64 * 2**20, np.uint8)
    assert taken.sum() == len(taken)
    high = memory.peak_mib()
    del taken
    memory.peak_mib()
    assert memory.peak_mib() < high - 48


def test_without_the_kernels_files_it_is_the_highest_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "none")
    assert 10 < memory.peak_mib() < 100_000


@pytest.mark.skipif(sys.platform != "linux", reason="where the kernel tells")
def test_the_room_is_that_of_the_machine_or_of_its_container(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_LIMIT", tmp_path / "memory.max")
    whole = memory.room(gpu=False)
    assert 2**28 < whole.free <= whole.total
    (tmp_path / "memory.max").write_text(f"{2**28}\n")
    assert memory.room(gpu=False) == memory.Room(2**28, 2**28)
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.room(gpu=False).total == whole.total


def test_a_gpus_room_is_what_its_driver_says(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert memory.room(gpu=True) is None
    assert not memory.gpu_there()
    driver = tmp_path / "nvidia-smi"
    driver.write_text("#!/bin/sh\necho '24576, 20000'\necho '8192, 1'\n")
    driver.chmod(0o755)
    assert memory.room(gpu=True) == memory.Room(24576 * 2**20, 20000 * 2**20)
    assert memory.gpu_there()
    driver.write_text("#!/bin/sh\necho 'No devices were found'\nexit 6\n")
    assert memory.room(gpu=True) is None
