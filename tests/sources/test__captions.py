import os
import time

import pytest

from pipeline.sources import _captions


@pytest.fixture
def settled(monkeypatch):
    """Files are known again however lately they changed."""
    monkeypatch.setattr(_captions, "SETTLED_NS", -(10**12))


def test_the_first_that_is_there_counts(tmp_path):
    paths = [str(tmp_path / name) for name in ("a.txt", "a.caption")]
    assert _captions.look(paths) == _captions.NONE
    (tmp_path / "a.caption").write_text("second")
    assert _captions.look(paths).text == "second"
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbf first \n")
    assert _captions.look(paths).text == "first"
    (tmp_path / "a.txt").write_text(" \n")
    assert _captions.look(paths).text is None


@pytest.mark.usefixtures("settled")
def test_a_file_that_is_as_it_was_is_not_opened(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("a cat")
    known = _captions.look([str(tmp_path / "a.txt")])
    monkeypatch.setattr("pathlib.Path.read_text", lambda *_, **__: pytest.fail("it was opened"))
    assert _captions.look([str(tmp_path / "a.txt")], known) == known


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("change", ["written", "replaced", "time set back"])
def test_a_file_that_changed_is_read_again(tmp_path, change):
    path = tmp_path / "a.txt"
    path.write_text("a cat")
    before, known = path.stat(), _captions.look([str(path)])
    time.sleep(0.02)  # a tick of the disk's clock
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


def test_a_file_that_has_just_changed_is_read_again_whatever_its_times_say(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("a cat")
    first = path.stat()
    known = _captions.look([str(path)])
    path.write_text("a dog")
    # as on a disk whose clock has not ticked between the two
    monkeypatch.setattr("os.stat", lambda *_, **__: first)
    assert _captions.look([str(path)], known).text == "a dog"
    monkeypatch.setattr("time.time_ns", lambda: first.st_ctime_ns + _captions.SETTLED_NS)
    later = _captions.look([str(path)], known)
    assert later == (first.st_ino, first.st_size, first.st_ctime_ns, "a dog")


@pytest.mark.usefixtures("settled")
def test_another_file_is_not_taken_for_the_one_that_is_known(tmp_path):
    (tmp_path / "a.txt").write_text("a cat")
    known = _captions.look([str(tmp_path / "a.txt")])
    (tmp_path / "b.txt").write_text("a dog")
    assert _captions.look([str(tmp_path / "b.txt")], known).text == "a dog"
    (tmp_path / "pipe").mkdir()
    assert _captions.look([str(tmp_path / "pipe")], known) == _captions.NONE
