import pyarrow.parquet as pq

from pipeline.exports import parquet
from pipeline.settings import Source
from pipeline.sources import huggingface as huggingface_source
from pipeline.workspace import Workspace


def test_hugging_face_sees_pictures_and_columns(write, made, tmp_path):
    import datasets

    root = write("parquet")
    pictures, _ = made
    files = {split: str(root / "data" / f"{split}-*.parquet") for split in ("train", "validation", "prior")}
    found = datasets.load_dataset("parquet", data_files=files, cache_dir=str(tmp_path / "cache"))
    assert {split: len(rows) for split, rows in found.items()} == {"train": 3, "validation": 2, "prior": 1}
    told = {row["gesso_sample_id"]: row for rows in found.values() for row in rows}
    for one in pictures:
        row = told[one.sample_id]
        assert row["image"].size == (40, 30)
        assert (row["text"], row["gesso_repeats"]) == (one.caption, one.origins[0]["repeats"])
        assert (row["mask"] is None) == (one.mask is None)


def test_shards_are_numbered_and_closed_by_size(write, made, monkeypatch):
    monkeypatch.setattr(parquet, "SHARD_BYTES", 1000)
    root = write("parquet")
    pictures, data = made
    train = sorted(root.glob("data/train-*.parquet"))
    assert [path.name for path in train] == ["train-00000-of-00002.parquet", "train-00001-of-00002.parquet"]
    rows = [row for path in root.glob("data/*.parquet") for row in pq.read_table(path).to_pylist()]
    assert {row["gesso_sample_id"]: row["image"]["bytes"] for row in rows} == {
        one.sample_id: data[one.sample_id] for one in pictures
    }


def test_what_was_exported_is_read_back_whole(write, same, tmp_path):
    made = write("parquet")
    same(huggingface_source.scan(Source(kind="huggingface", path=made), 0, Workspace.create(tmp_path / "w")))
