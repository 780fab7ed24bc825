import tarfile
import zipfile

import pytest

from pipeline.errors import InputError
from pipeline.settings import Source
from pipeline.sources import archive
from pipeline.workspace import Workspace


@pytest.fixture
def workspace(tmp_path):
    return Workspace.create(tmp_path / "workspace")


@pytest.fixture
def archives(tmp_path):
    """A zip and a tar.gz of pictures."""
    folder = tmp_path / "archives"
    folder.mkdir()
    with zipfile.ZipFile(folder / "one.zip", "w") as made:
        made.writestr("a.png", "a")
        made.writestr("a.txt", "a cat")
        made.writestr("metadata.csv", "file_name,license\na.png,MIT\n")
    (folder / "b.png").write_text("b")
    with tarfile.open(folder / "two.tar.gz", "w:gz") as made:
        made.add(folder / "b.png", "deep/b.png")
    return folder


def test_archives_are_read_and_never_changed_nor_unpacked(archives, workspace):
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in archives.iterdir()}
    read, steps = [], []
    source = Source(kind="archive", path=archives)
    rows = archive.scan(source, 0, workspace, on_read=read.append, progress=lambda *step: steps.append(step))
    assert {row["origin"].removeprefix(str(archives)): row["sidecar"] for row in rows} == {
        "/one.zip/a.png": "a cat",
        "/two.tar.gz/deep/b.png": None,
    }
    assert rows[0]["license"] == "MIT"
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in archives.iterdir()} == before
    assert len(read) == 2
    assert steps[-1] == (2, 2)
    assert list(archive.known(source, workspace)) == [(row["origin"], row["sample_id"]) for row in rows]
    assert archive.scan(source, 0, workspace, on_read=read.append) == rows
    assert len(read) == 2


def test_an_archive_that_is_none_is_a_row(tmp_path, workspace):
    (tmp_path / "a.zip").write_text("<html>")
    (row,) = archive.scan(Source(kind="archive", path=tmp_path / "a.zip"), 0, workspace)
    assert row["origin"] == str(tmp_path / "a.zip")
    assert row["error"].startswith("corrupt: ")


def test_a_path_without_archives_names_the_setting(tmp_path):
    with pytest.raises(InputError, match=r"sources\.1\.path: there is no archive here"):
        archive.check(Source(kind="archive", path=tmp_path), 1)
