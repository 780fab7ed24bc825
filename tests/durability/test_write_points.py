"""Whatever point of a run kills it or is refused by the disk: it ends clearly, and the next run makes it as if nothing
had happened. One point of each kind (an operation on a kind of file) is tried; `-m every` tries them all, in every way.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

POINTS = Path(__file__).with_name("points.py")


def tried(folder, *words):
    done = subprocess.run([sys.executable, POINTS, folder, *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(("part", "least"), [("prepare", 90), ("run", 25)])
def test_a_point_of_each_kind(tmp_path, part, least):
    told = tried(tmp_path, part, "turns", 1)
    assert told["wrong"] == []
    assert told["tried"] >= least


@pytest.mark.every
@pytest.mark.parametrize("part", ["prepare", "run"])
@pytest.mark.parametrize("how", ["kill", "full", "error"])
def test_every_point(tmp_path, part, how):
    told = tried(tmp_path, part, how)
    assert told["wrong"] == []
    assert told["tried"] == told["points"]
