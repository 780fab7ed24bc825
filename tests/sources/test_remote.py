import fsspec
import pytest

from pipeline import tombstones
from pipeline.errors import InputError
from pipeline.manifest import ORIGINS, table_of
from pipeline.settings import Source
from pipeline.sources import remote
from pipeline.workspace import Workspace


@pytest.fixture
def workspace(tmp_path):
    return Workspace.create(tmp_path / "workspace")


@pytest.fixture
def store(tmp_path):
    """A store in memory, with a folder of this test's own."""
    made = fsspec.filesystem("memory")
    made.root = f"/{tmp_path.name}/photos"
    yield made
    made.rm(f"/{tmp_path.name}", recursive=True)


def put(store, files):
    for name, text in files.items():
        store.pipe_file(f"{store.root}/{name}", text.encode())


def scan(store, workspace, read=None, **settings):
    source = Source(kind="remote", path=f"memory:/{store.root}", **settings)
    rows = remote.scan(source, 0, workspace, on_read=(read if read is not None else []).append)
    table_of(rows, ORIGINS)
    return {row["origin"].removeprefix(f"memory:/{store.root}/"): row for row in rows}


def test_a_store_is_read_like_a_folder(store, workspace):
    put(
        store,
        {
            "dogs/a.png": "a",
            "dogs/a.txt": "a dog",
            "dogs/a-masklabel.png": "mask",
            "b.png": "b",
            "metadata.jsonl": '{"file_name": "b.png", "text": "told", "license": "MIT"}\n{"file_name": "gone.png"}',
            "lonely.txt": "alone",
            ".hidden/c.png": "c",
            "README.md": "about",
        },
    )
    rows = scan(store, workspace, **{"class": "{folder}"})
    assert set(rows) == {"dogs/a.png", "dogs/a-masklabel.png", "b.png", "gone.png", "lonely.txt"}
    assert (rows["dogs/a.png"]["sidecar"], rows["dogs/a.png"]["class"]) == ("a dog", "dogs")
    assert rows["dogs/a.png"]["mask"] == rows["dogs/a-masklabel.png"]["sample_id"]
    assert (rows["b.png"]["sidecar"], rows["b.png"]["license"], rows["b.png"]["class"]) == ("told", "MIT", "photos")
    assert rows["gone.png"]["error"].startswith("missing: ")
    assert workspace.original(rows["dogs/a.png"]["sample_id"]).read_bytes() == b"a"


def test_what_did_not_change_is_not_fetched_again(store, workspace):
    put(store, {"a.png": "a", "a.txt": "a cat", "b.png": "b"})
    source = Source(kind="remote", path=f"memory:/{store.root}")
    assert list(remote.known(source, workspace)) == [(f"memory:/{store.root}", None)]
    first, read = scan(store, workspace), []
    assert scan(store, workspace, read) == first
    assert read == []
    put(store, {"b.png": "longer", "c.png": "new"})
    again = scan(store, workspace, read)
    assert sorted(map(str, read)) == ["b.png", "c.png"]
    assert again["a.png"] == first["a.png"]
    assert dict(remote.known(source, workspace)) == {row["origin"]: row["sample_id"] for row in again.values()}


def test_what_the_store_does_not_give_is_a_row(store, workspace, monkeypatch):
    put(store, {"a.png": "a", "b.png": "b"})
    real = type(store).open

    def refuse(self, path, *args, **kwargs):
        if path.endswith("b.png"):
            raise PermissionError(13, "Permission denied")
        return real(self, path, *args, **kwargs)

    monkeypatch.setattr(type(store), "open", refuse)
    rows = scan(store, workspace)
    assert rows["b.png"]["error"] == "unreadable: Permission denied"
    assert rows["a.png"]["error"] is None


def test_files_of_this_machine_by_address(tmp_path, workspace):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_text("a")
    (row,) = remote.scan(Source(kind="remote", path=f"file://{tmp_path}/photos"), 0, workspace)
    assert row["error"] is None
    assert row["origin"].endswith("photos/a.png")


def test_a_text_that_was_forgotten_stays_away(store, workspace):
    put(store, {"a.png": "a", "lonely.txt": "alone"})
    sample_id = scan(store, workspace)["lonely.txt"]["sample_id"]
    tombstones.add(workspace.root, [tombstones.Tombstone(sample_id, None, None, None, "2026-01-31")])
    assert scan(store, workspace)["lonely.txt"]["error"].startswith("forgotten: ")


@pytest.mark.parametrize("path", ["photos", "https://example.org/a", "simplecache::https://example.org/a"])
def test_what_is_no_address_of_a_store_is_refused(path):
    with pytest.raises(InputError, match=r"sources\.1\.path: this is no address of a store"):
        remote.check(Source(kind="remote", path=path), 1)


@pytest.mark.parametrize("path", ["memory://nothing-here", "nosuchprotocol://x"])
def test_a_store_that_cannot_be_read(workspace, path):
    with pytest.raises(InputError, match=r"cannot be read|there are no files here"):
        remote.scan(Source(kind="remote", path=path), 0, workspace)
