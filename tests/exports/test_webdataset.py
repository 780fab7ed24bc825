import json
import tarfile

from pipeline.exports import webdataset
from pipeline.settings import Source
from pipeline.sources import webdataset as webdataset_source
from pipeline.workspace import Workspace


def members(root, pattern="*.tar"):
    found = {}
    for path in sorted(root.glob(pattern)):
        with tarfile.open(path) as shard:
            found |= {one.name: shard.extractfile(one).read() for one in shard}
    return found


def test_each_picture_is_a_key_with_bytes_caption_and_all_else(write, made):
    root = write("webdataset")
    pictures, data = made
    found = members(root)
    for one in pictures:
        assert found[one.name] == data[one.sample_id]
        assert found[f"{one.stem}.txt"].decode() == one.caption
        assert json.loads(found[f"{one.stem}.json"])["gesso_split"] == one.split
    assert sorted(path.name for path in root.iterdir()) == [
        "prior-000000.tar",
        "train-000000.tar",
        "validation-000000.tar",
    ]
    assert sum(name.endswith(".mask.png") for name in found) == 1


def test_shards_are_closed_by_size_and_equal_each_time(write, monkeypatch, tmp_path):
    whole = members(write("webdataset"))
    monkeypatch.setattr(webdataset, "SHARD_BYTES", 1000)
    (tmp_path / "webdataset").rename(tmp_path / "first")
    root = write("webdataset")
    assert len(list(root.glob("train-*.tar"))) == 2
    assert members(root) == whole


def test_what_was_exported_is_read_back_whole(write, same, tmp_path):
    made = write("webdataset")
    same(webdataset_source.scan(Source(kind="webdataset", path=made), 0, Workspace.create(tmp_path / "w")))
