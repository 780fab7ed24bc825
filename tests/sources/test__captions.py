import os

import pytest

from pipeline.sources import _captions


def test_the_first_that_is_there_counts(tmp_path):
    paths = [str(tmp_path / name) for name in ("a.txt", "a.caption")]
    assert _captions.look(paths) == _captions.NONE
    (tmp_path / "a.caption").write_text("second")
    assert _captions.look(paths).text == "second"
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbf first \n")
    assert _captions.look(paths).text == "first"
    (tmp_path / "a.txt").write_text(" \n")
    assert _captions.look(paths).text is None


def test_a_file_that_is_as_it_was_is_not_opened(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("a cat")
    known = _captions.look([str(tmp_path / "a.txt")])
    monkeypatch.setattr("pathlib.Path.read_text", lambda *_, **__: pytest.fail("it was opened"))
    assert _captions.look([str(tmp_path / "a.txt")], known) == known


@pytest.mark.parametrize("change", ["written", "replaced", "time set back"])
def test_a_file_that_changed_is_read_again(tmp_path, change):
    path = tmp_path / "a.txt"
    path.write_text("a cat")
    before, known = path.stat(), _captions.look([str(path)])
    match change:
        case "replaced":
            (tmp_path / "new").write_text("a dog")
            (tmp_path / "new").replace(path)
        case _:
            path.write_text("a dog")
    if change == "time set back":
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert _captions.look([str(path)], known).text == "a dog"


def test_another_file_is_not_taken_for_the_one_that_is_known(tmp_path):
    (tmp_path / "a.txt").write_text("a cat")
    known = _captions.look([str(tmp_path / "a.txt")])
    (tmp_path / "b.txt").write_text("a dog")
    assert _captions.look([str(tmp_path / "b.txt")], known).text == "a dog"
    (tmp_path / "pipe").mkdir()
    assert _captions.look([str(tmp_path / "pipe")], known) == _captions.NONE
