import fcntl
import os
import signal
import subprocess
import sys

import pytest

from pipeline import atomic


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def killed(code, folder):
    done = subprocess.run([sys.executable, "-c", code, str(folder)], check=False)
    assert done.returncode == -signal.SIGKILL


def test_a_file_appears_with_its_folders(tmp_path):
    with atomic.file(tmp_path / "a" / "b") as part:
        part.write_bytes(b"new")
        assert not (tmp_path / "a" / "b").exists()
    assert tree(tmp_path) == {"a/b": b"new"}


def test_a_folder_appears_in_place_of_the_old(tmp_path):
    for words in (("one", "two"), ("three",)):
        with atomic.folder(tmp_path / "f") as part:
            for word in words:
                (part / "deep").mkdir(exist_ok=True)
                (part / "deep" / word).write_text(word)
    assert tree(tmp_path) == {"f/deep/three": b"three"}


@pytest.mark.parametrize("make", [atomic.file, atomic.folder])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_fails_leaves_the_old_and_nothing_else(tmp_path, make, error):
    with make(tmp_path / "x") as part:
        (part if make is atomic.file else part / "in").write_text("old")
    before = tree(tmp_path)

    def fail():
        with make(tmp_path / "x") as part:
            (part if make is atomic.file else part / "in").write_text("half")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert tree(tmp_path) == before
    assert len(list(tmp_path.iterdir())) == 1


def test_everything_in_a_folder_is_synced_before_it_appears(tmp_path, monkeypatch):
    synced = []

    def sync(descriptor):
        assert not (tmp_path / "f").exists() or os.fstat(descriptor).st_ino == tmp_path.stat().st_ino
        synced.append(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(atomic.os, "fsync", sync)
    with atomic.folder(tmp_path / "f") as part:
        (part / "deep").mkdir()
        (part / "deep" / "file").write_text("in it")
    wanted = [tmp_path / "f" / "deep" / "file", tmp_path / "f" / "deep", tmp_path / "f", tmp_path]
    assert set(synced) == {path.stat().st_ino for path in wanted}


def test_a_folder_is_never_half_removed(tmp_path, monkeypatch):
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "in").write_text("whole")
    monkeypatch.setattr(atomic.shutil, "rmtree", lambda path: os.kill(os.getpid(), signal.SIGKILL))
    if not (child := os.fork()):
        atomic.remove(tmp_path / "f")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert not (tmp_path / "f").exists()
    monkeypatch.undo()
    assert atomic.sweep(tmp_path) == 1
    assert list(tmp_path.iterdir()) == []
    atomic.remove(tmp_path / "f")


def test_what_a_killed_process_left_is_swept(tmp_path):
    code = (
        "import os, sys, pathlib; from pipeline import atomic\n"
        "root = pathlib.Path(sys.argv[1])\n"
        "with atomic.file(root / 'deep' / 'file') as file, atomic.folder(root / 'folder') as folder:\n"
        "    file.write_text('half'); (folder / '.in.part').write_text('half'); os.kill(os.getpid(), 9)"
    )
    (tmp_path / "kept").write_text("kept")
    killed(code, tmp_path)
    assert len(tree(tmp_path)) == 3
    assert atomic.sweep(tmp_path) == 2
    assert tree(tmp_path) == {"kept": b"kept"}
    assert atomic.sweep(tmp_path) == 0


def test_what_a_living_process_writes_is_not_swept(tmp_path):
    code = (
        "import sys, pathlib; from pipeline import atomic\n"
        "root = pathlib.Path(sys.argv[1])\n"
        "with atomic.file(root / 'file') as file, atomic.folder(root / 'folder') as folder:\n"
        "    print('begun', flush=True); sys.stdin.read(); file.write_text('whole'); (folder / 'a').write_text('whole')"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "begun\n"
        assert atomic.sweep(tmp_path) == 0
        other.stdin.close()
        assert other.wait() == 0
    assert tree(tmp_path) == {"file": b"whole", "folder/a": b"whole"}


@pytest.mark.parametrize("make", [atomic.file, atomic.folder])
def test_one_that_is_swept_before_its_writer_has_locked_it_is_begun_again(tmp_path, monkeypatch, make):
    lock, swept = fcntl.flock, []

    def late(descriptor, operation):
        if not swept:
            swept.append(None)
            swept[0] = atomic.sweep(tmp_path)
        lock(descriptor, operation)

    monkeypatch.setattr(atomic.fcntl, "flock", late)
    with make(tmp_path / "x") as part:
        (part if make is atomic.file else part / "in").write_text("whole")
    assert swept == [1]
    assert list(tree(tmp_path).values()) == [b"whole"]


def test_a_link_to_a_folder_elsewhere_is_not_swept_through(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / ".x.part").write_text("not ours")
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "link").symlink_to(tmp_path / "elsewhere")
    assert atomic.sweep(tmp_path / "w") == 0


def test_what_is_set_aside_keeps_its_bytes_and_its_name_is_free(tmp_path):
    for text in ("one", "two"):
        (tmp_path / "x").write_text(text)
        atomic.set_aside(tmp_path / "x")
    assert tree(tmp_path) == {"x.damaged": b"one", "x.damaged1": b"two"}
