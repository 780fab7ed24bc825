import hashlib
import os
import signal
import subprocess
import sys
from threading import Timer

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import atomic
from pipeline import workspace as module
from pipeline.errors import WorkspaceError
from pipeline.workspace import MARK, Workspace, write_bytes, write_table


def everything(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_create_makes_a_workspace_that_opens_again(tmp_path):
    root = tmp_path / "deep" / "down"
    assert Workspace.create(root) == Workspace.create(root) == Workspace.open(root)
    assert (root / MARK).is_file()


def test_a_folder_with_other_things_is_refused_and_untouched(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    before = everything(tmp_path)
    with pytest.raises(WorkspaceError, match=r"not a gesso workspace.*Name a new folder") as told:
        Workspace.create(tmp_path)
    assert told.value.field == "--workspace"
    assert told.value.value == str(tmp_path)
    assert everything(tmp_path) == before


def test_what_a_kill_left_of_creating_does_not_count_as_other_things(tmp_path):
    (tmp_path / f".{MARK}.0123abcd.part").write_bytes(b"")
    Workspace.create(tmp_path)
    assert (tmp_path / MARK).is_file()


@pytest.mark.parametrize("place", ["file", "file/below", "broken", "x" * 300])
def test_a_place_that_cannot_be_a_folder_is_refused(tmp_path, place):
    (tmp_path / "file").write_text("")
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere" / "deep")
    (tmp_path / "nowhere").write_text("")
    with pytest.raises(WorkspaceError, match="Choose a folder"):
        Workspace.create(tmp_path / place)


def test_open_makes_nothing(tmp_path):
    with pytest.raises(WorkspaceError, match="gesso run RECIPE"):
        Workspace.open(tmp_path / "w")
    assert list(tmp_path.iterdir()) == []


def test_an_original_is_stored_once_under_its_hash(tmp_path):
    workspace = Workspace.create(tmp_path / "w")
    sample_id = workspace.keep_original(b"bytes")
    assert sample_id == hashlib.sha256(b"bytes").hexdigest()
    inode = workspace.original(sample_id).stat().st_ino
    assert workspace.keep_original(b"bytes") == sample_id
    assert workspace.original(sample_id).stat().st_ino == inode
    assert workspace.original(sample_id).read_bytes() == b"bytes"


def test_the_latest_run_is_the_newest_with_a_ledger(tmp_path):
    workspace = Workspace.create(tmp_path)
    assert workspace.latest_run() is None
    for name in ("20250102-a", "20250101-b"):
        write_bytes(workspace.runs / name / "ledger.parquet", b"")
    (workspace.runs / "20250103-c").mkdir()
    assert workspace.latest_run() == workspace.runs / "20250102-a"


def writers():
    table = pa.table({"a": list(range(1000))})
    return [lambda path: write_bytes(path, b"new"), lambda path: write_table(path, table)]


@pytest.mark.parametrize("write", writers())
@pytest.mark.parametrize("where", ["fsync", "rename"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_old_and_nothing_else(tmp_path, monkeypatch, write, where, error):
    (tmp_path / "file").write_bytes(b"old")

    def fail(*args):
        raise error

    monkeypatch.setattr(*((atomic.os, "fsync") if where == "fsync" else (atomic.Path, "replace")), fail)
    with pytest.raises(type(error)):
        write(tmp_path / "file")
    assert everything(tmp_path) == {"file": b"old"}


def test_a_table_that_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    def half(writer, table, **options):
        writer.file_handle.write(b"PAR1 and then the power went")
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(module.pq.ParquetWriter, "write_table", half)
    with pytest.raises(OSError, match="Input/output"):
        write_table(tmp_path / "t.parquet", pa.table({"a": [1]}))
    assert everything(tmp_path) == {}


def test_a_killed_write_leaves_the_old(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    code = (
        "import os, sys, pathlib; from pipeline import workspace as w\n"
        "w.atomic.os.fsync = lambda _: os.kill(os.getpid(), 9)\n"
        "w.write_bytes(pathlib.Path(sys.argv[1]), b'new')"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "file")], check=False)
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "file").read_bytes() == b"old"
    assert not list(tmp_path.glob("[!.]*.part"))  # what is left is hidden, and nothing reads it


def test_a_table_comes_in_row_groups_of_at_most_8_mb(tmp_path):
    table = pa.table({"data": [os.urandom(2**20)] * 20, "n": range(20)})
    write_table(tmp_path / "t.parquet", table)
    assert pq.read_table(tmp_path / "t.parquet").equals(table)
    groups = pq.ParquetFile(tmp_path / "t.parquet").metadata
    rows = [groups.row_group(at).num_rows for at in range(groups.num_row_groups)]
    assert max(rows) <= 8
    assert sum(rows) == 20


def test_an_empty_table_keeps_its_schema(tmp_path):
    table = pa.schema([("a", pa.int32())]).empty_table()
    write_table(tmp_path / "t.parquet", table)
    assert pq.read_table(tmp_path / "t.parquet").equals(table)


def test_the_second_of_two_locks_says_who_holds_it(tmp_path):
    workspace = Workspace.create(tmp_path)
    with workspace.lock("run"), workspace.lock("other"):
        with pytest.raises(WorkspaceError, match=rf"run: process {os.getpid()}.*Wait"), workspace.lock("run"):
            raise AssertionError
        assert (tmp_path / "locks" / "run.holder").exists()
    with workspace.lock("run"):
        pass
    assert not (tmp_path / "locks" / "run.holder").exists()


def test_a_lock_holds_against_other_processes_and_ends_with_its_own(tmp_path):
    workspace = Workspace.create(tmp_path)
    code = (
        "import sys, pathlib; from pipeline.workspace import Workspace\n"
        "with Workspace(pathlib.Path(sys.argv[1])).lock('run'):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(WorkspaceError, match=f"process {other.pid}"), workspace.lock("run"):
            raise AssertionError
        Timer(0.5, other.kill).start()
        with workspace.hold(doing="patient", wait=60):
            pass
    with workspace.lock("run", wait=5):
        assert str(os.getpid()) in (tmp_path / "locks" / "run.holder").read_text()


def test_a_lock_is_given_back_after_an_error(tmp_path):
    workspace = Workspace.create(tmp_path)
    with pytest.raises(ValueError, match="oh"), workspace.lock("run"):
        raise ValueError("oh")
    with workspace.lock("run"):
        pass
