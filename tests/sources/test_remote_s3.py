"""Pictures in S3, read from a server of its protocol on loopback."""

import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from pipeline.errors import InputError
from pipeline.manifest import ORIGINS, table_of
from pipeline.settings import Source
from pipeline.sources import remote
from pipeline.workspace import Workspace

s3fs = pytest.importorskip("s3fs")
pytest.importorskip("moto")

KEYS = {
    "AWS_ACCESS_KEY_ID": "somebody",
    "AWS_SECRET_ACCESS_KEY": "a secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",  # else who has no key asks a machine that is not there
}
SET = {
    "dogs/a.png": b"a",
    "dogs/a.txt": b"a dog",
    "dogs/a-masklabel.png": b"mask",
    "b \u00e4#?%2F.png": b"b",
    "metadata.jsonl": '{"file_name": "b \u00e4#?%2F.png", "text": "told", "license": "MIT"}'.encode(),
    "empty.png": b"",
    "": b"",
    "dogs/": b"",
    **{f"many/{number:02}.png": b"%d" % number for number in range(40)},
}
"""By name below s3://photos/set; two are what consoles make for folders."""


@pytest.fixture(scope="module")
def endpoint():
    """The address of a server, in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while True:
            assert server.poll() is None, "the server ended"
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/", timeout=5).close()
                break
            except OSError:
                assert time.monotonic() < until, "the server does not answer"
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


@pytest.fixture
def store(endpoint, monkeypatch, tmp_path):
    """The store, as botocore finds it, with a set of pictures of this test's own."""
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": endpoint, "HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    made = s3fs.S3FileSystem()
    made.mkdirs("photos", exist_ok=True)
    for name, data in SET.items():
        made.pipe_file(f"photos/set/{name}", data)
    made.pipe_file("photos/set2/other.png", b"of another set")
    yield made
    made.rm("photos", recursive=True)
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def workspace(tmp_path):
    return Workspace.create(tmp_path / "workspace")


def scan(workspace, read=None):
    source = Source(kind="remote", path="s3://photos/set")
    rows = remote.scan(source, 0, workspace, on_read=(read if read is not None else []).append)
    table_of(rows, ORIGINS)
    return {row["origin"].removeprefix("s3://photos/set/"): row for row in rows}


def test_a_bucket_is_read_like_a_folder(store, workspace):
    rows = scan(workspace)
    assert set(rows) == {name for name in SET if name.endswith(".png")}
    assert all(row["error"] is None for row in rows.values())
    assert all(workspace.read_original(row["sample_id"]) == SET[name] for name, row in rows.items())
    assert rows["dogs/a.png"]["sidecar"] == "a dog"
    assert rows["dogs/a.png"]["mask"] == rows["dogs/a-masklabel.png"]["sample_id"]
    odd = rows["b \u00e4#?%2F.png"]
    assert (odd["sidecar"], odd["license"]) == ("told", "MIT")


def test_what_did_not_change_by_its_etag_is_not_fetched_again(store, workspace):
    first, read = scan(workspace), []
    assert scan(workspace, read) == first
    assert read == []
    store.pipe_file("photos/set/dogs/a.png", b"A")  # as long as before
    store.pipe_file("photos/set/new.png", b"new")
    again = scan(workspace, read)
    assert sorted(map(str, read)) == ["dogs/a.png", "new.png"]
    assert workspace.read_original(again["dogs/a.png"]["sample_id"]) == b"A"


def test_a_store_that_does_not_let_one_in_is_told_in_one_sentence(store, workspace, monkeypatch):
    def fails(path):
        s3fs.S3FileSystem.clear_instance_cache()
        with pytest.raises(InputError, match=r"sources\.3\.path: (this store cannot be read|there are no files here)"):
            remote.scan(Source(kind="remote", path=path), 3, workspace)

    fails("s3://no-such-bucket/set")
    fails("s3://photos/nothing")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    fails("s3://photos/set")
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_MAX_ATTEMPTS": "1"}.items():
        monkeypatch.setenv(name, value)
    fails("s3://photos/set")


def test_an_object_that_goes_while_the_bucket_is_read_is_a_row(store, workspace, monkeypatch):
    real = remote._fetch

    def gone(made, told):
        if told["path"].endswith("many/07.png"):
            store.rm_file("photos/set/many/07.png")
        return real(made, told)

    monkeypatch.setattr(remote, "_fetch", gone)
    rows = scan(workspace)
    assert rows["many/07.png"]["error"].startswith("unreadable: ")
    assert sum(row["error"] is not None for row in rows.values()) == 1
