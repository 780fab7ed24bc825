from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.sources import _captions, _memory
from pipeline.workspace import Workspace, write_table


@pytest.fixture
def workspace(tmp_path):
    return Workspace.create(tmp_path / "w")


def test_what_is_remembered_comes_back(tmp_path, workspace):
    assert _memory.remembered(tmp_path, workspace) == {}
    caption = _captions.Beside(2**63 + 5, 7, 9, "a cat")
    now = {
        ("deep/a.png", 3, 2**60): _memory.Remembered("ab", caption),
        ("b\\udcff.png", 4, 1): _memory.Remembered("cd", _captions.NONE),
    }
    _memory.remember(tmp_path, workspace, now)
    assert _memory.remembered(tmp_path, workspace) == now
    assert _memory.seen(tmp_path, workspace) == {("deep/a.png", 3, 2**60): "ab", ("b\\udcff.png", 4, 1): "cd"}
    _memory.remember(tmp_path, workspace, {})
    assert _memory.remembered(tmp_path, workspace) == {}


def test_each_folder_has_a_memory_of_its_own(tmp_path, workspace):
    now = {("a.png", 1, 1): _memory.Remembered("ab", _captions.NONE)}
    _memory.remember(tmp_path / "one", workspace, now)
    assert _memory.remembered(tmp_path / "other", workspace) == {}


def test_a_memory_from_before_captions_were_in_it_still_counts(tmp_path, workspace):
    now = {("a.png", 1, 2): _memory.Remembered("ab", _captions.NONE)}
    _memory.remember(tmp_path, workspace, now)
    (place,) = (workspace.root / "tables" / "files").iterdir()
    old = {"path": ["a.png"], "size": [1], "mtime_ns": [2], "sample_id": ["ab"]}
    write_table(place, pa.table(old))
    assert _memory.remembered(tmp_path, workspace) == now


@pytest.mark.parametrize(("folder", "wanted"), [(".", ""), ("/", "/"), ("a/", "a/"), ("/a/b", "/a/b/")])
def test_paths_begin_as_those_of_pathlib_do(folder, wanted):
    assert _memory.prefix(Path(folder)) == wanted
    assert _memory.prefix(Path(folder)) + "x" == str(Path(folder) / "x")
