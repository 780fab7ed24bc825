from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from pipeline.training.result import Result


def test_a_result_is_a_value():
    result = Result(Path("weights"), 2, (0.5, 0.25), 1.5)
    assert result == Result(folder=Path("weights"), steps=2, losses=(0.5, 0.25), seconds=1.5)
    with pytest.raises(FrozenInstanceError):
        result.steps = 3
