import io
import json
import tarfile

import pytest

from pipeline.errors import InputError
from pipeline.settings import Source
from pipeline.sources import webdataset
from pipeline.workspace import Workspace


def shard(path, members):
    with tarfile.open(path, "w") as made:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))


def test_what_has_a_key_in_common_belongs_together(tmp_path):
    told = {"caption": "told", "license": "MIT", "url": "https://example.org/1.jpg", "width": 5, "status": "success"}
    shard(
        tmp_path / "00000.tar",
        {
            "d.1/000.json": json.dumps(told).encode(),
            "d.1/000.jpg": b"one",
            "d.1/000.txt": b"from beside",
            "001.txt": b"a boat",
            "001.original.png": b"two",
            "001.mask.png": b"mask",
            "002.json": b"{broken",
            "002.png": b"three",
        },
    )
    shard(tmp_path / "00001.tar", {"000.jpg": b"four"})
    workspace = Workspace.create(tmp_path / "w")
    source = Source(kind="webdataset", path=tmp_path)
    rows = {row["origin"].removeprefix(f"{tmp_path}/"): row for row in webdataset.scan(source, 0, workspace)}
    one = rows["00000.tar/d.1/000.jpg"]
    assert (one["sidecar"], one["license"], one["source_url"]) == ("told", "MIT", "https://example.org/1.jpg")
    assert rows["00000.tar/001.original.png"]["sidecar"] == "a boat"
    assert rows["00000.tar/002.json"]["sample_id"]  # what cannot be read is not passed over
    assert set(rows) == {
        "00000.tar/d.1/000.jpg",
        "00000.tar/001.original.png",
        "00000.tar/001.mask.png",
        "00000.tar/002.json",
        "00000.tar/002.png",
        "00001.tar/000.jpg",
    }
    assert dict(webdataset.known(source, workspace)).keys() == {
        row["origin"] for row in rows.values() if not row["mask_of"] and "mask_alone" not in (row["error"] or "")
    }


def test_what_is_told_of_a_picture_is_not_told_of_its_mask(tmp_path):
    told = {"license": "MIT", "gesso_also": json.dumps([{"license": "CC0-1.0"}])}
    shard(tmp_path / "0.tar", {"1.png": b"one", "1.mask.png": b"mask", "1.json": json.dumps(told).encode()})
    rows = webdataset.scan(Source(kind="webdataset", path=tmp_path), 0, Workspace.create(tmp_path / "w"))
    assert {row["origin"].removeprefix(f"{tmp_path}/0.tar/"): row["license"] for row in rows} == {
        "1.png": "MIT",
        "1.png#2": "CC0-1.0",
        "1.mask.png": None,
    }


@pytest.mark.parametrize(
    ("name", "key"), [("a.jpg", "a"), ("d.1/a.b.jpg", "d.1/a"), (".hidden", ".hidden"), ("", ""), ("a", "a")]
)
def test_the_key_is_what_stands_before_the_first_dot(name, key):
    assert webdataset.key(name) == key


def test_no_shards(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"")
    with pytest.raises(InputError, match="no tar shard"):
        webdataset.check(Source(kind="webdataset", path=tmp_path), 0)
