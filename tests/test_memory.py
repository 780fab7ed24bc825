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
