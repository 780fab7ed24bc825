import pyarrow.parquet as pq

from pipeline.exports import _card, imagefolder
from pipeline.settings import Source
from pipeline.sources import folder
from pipeline.workspace import Workspace


def test_what_was_exported_is_read_back_whole(write, same, tmp_path):
    made = write("imagefolder")
    same(folder.scan(Source(path=made), 0, Workspace.create(tmp_path / "w")))


def test_hugging_face_reads_splits_captions_and_pictures(write, made, tmp_path, monkeypatch):
    import datasets

    root = write("imagefolder")
    pictures, _ = made
    card = _card.card(pictures, title="x", files=imagefolder.FILES, facts={})
    (root / "README.md").write_text(card)
    found = datasets.load_dataset(str(root), cache_dir=str(tmp_path / "cache"))
    assert set(found) == {"train", "validation", "prior"}
    held_out = [one for one in pictures if one.split == "held_out"]
    assert sorted(found["validation"]["text"]) == sorted(one.caption for one in held_out)
    assert found["prior"].features == found["train"].features
    # a mask beside a picture is not named in the metadata, and so not read
    assert all(one["image"].size == (40, 30) for one in found["validation"])


def test_metadata_tells_no_path_of_this_machine(write):
    root = write("imagefolder")
    rows = [(path.parent, row) for path in root.rglob("metadata.parquet") for row in pq.read_table(path).to_pylist()]
    assert len(rows) == 6
    assert "/secret/" not in str(rows)
    assert all((folder / row["file_name"]).is_file() for folder, row in rows)
