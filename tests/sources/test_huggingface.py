import json
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import InputError
from pipeline.settings import Source
from pipeline.sources import huggingface
from pipeline.workspace import Workspace


@pytest.fixture
def workspace(tmp_path):
    return Workspace.create(tmp_path / "workspace")


def scan(path, workspace, **settings):
    return huggingface.scan(Source(kind="huggingface", path=path, **settings), 0, workspace)


def image(data, path=None):
    return {"bytes": data, "path": path}


def test_pictures_captions_and_rights_of_parquet(tmp_path, workspace):
    root = tmp_path / "set"
    (root / "data").mkdir(parents=True)
    table = pa.table(
        {
            "label": [3, 4, 5],
            "image": [image(b"one", "../x/a.jpg"), image(b"two"), image(None, "lost.png")],
            "text": ["a cat", None, "gone"],
            "license": ["MIT", "CC0-1.0", None],
            "retrieved_at": [date(2026, 1, 31), None, None],
            "creator": [7, 8, 9],
        }
    )
    for name in ("train-00000-of-00001", "test-00000-of-00001"):
        pq.write_table(table, root / "data" / f"{name}.parquet")
    rows = scan(root, workspace)
    told = [(row["origin"].rpartition("/")[2], row["sidecar"], row["license"], row["split"]) for row in rows]
    assert told == [
        ("0000001-a.jpg", "a cat", "MIT", "held_out"),
        ("0000002", None, "CC0-1.0", "held_out"),
        ("0000003-lost.png", "gone", None, "held_out"),
        ("0000001-a.jpg", "a cat", "MIT", None),
        ("0000002", None, "CC0-1.0", None),
        ("0000003-lost.png", "gone", None, None),
    ]
    assert workspace.original(rows[3]["sample_id"]).read_bytes() == b"one"
    assert rows[3]["retrieved_at"] == "2026-01-31"
    assert rows[3]["creator"] is None  # a number names nobody
    assert rows[5]["error"] == "missing: the row has no bytes of a picture"
    assert list(huggingface.known(Source(kind="huggingface", path=root), workspace)) == [
        (row["origin"], row["sample_id"]) for row in rows
    ]


def test_the_column_of_pictures_is_the_one_that_the_features_name(tmp_path, workspace):
    told = {"info": {"features": {"shot": {"_type": "Image"}, "thumb": {"_type": "Value", "dtype": "binary"}}}}
    schema = pa.schema(
        [("thumb", pa.binary()), ("shot", pa.struct([("bytes", pa.binary()), ("path", pa.string())]))],
        metadata={"huggingface": json.dumps(told)},
    )
    pq.write_table(pa.Table.from_pylist([{"thumb": b"t", "shot": image(b"s")}], schema), tmp_path / "a.parquet")
    (row,) = scan(tmp_path / "a.parquet", workspace)
    assert workspace.original(row["sample_id"]).read_bytes() == b"s"


@pytest.mark.parametrize("damage", ["cut", "html", "no pictures"])
def test_files_that_are_no_pictures_are_rows(tmp_path, workspace, damage):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["a"] * 100}), path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:50])
    if damage == "html":
        path.write_text("<html>")
    (row,) = scan(path, workspace)
    assert row["error"].startswith("not_a_picture: " if damage == "no pictures" else "corrupt: ")


def test_a_folder_without_parquet_is_an_imagefolder(tmp_path, workspace):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.png").write_bytes(b"a")
    (tmp_path / "set" / "metadata.csv").write_text("file_name,text\na.png,a cat\n")
    (row,) = scan(tmp_path / "set", workspace)
    assert row["sidecar"] == "a cat"
    source = Source(kind="huggingface", path=tmp_path / "set")
    assert list(huggingface.known(source, workspace)) == [(row["origin"], row["sample_id"])]


def test_columns_of_categories_tell_as_texts_do(tmp_path, workspace):
    said = {
        "image": [b"a"],
        "license": pa.array(["MIT"]).dictionary_encode(),
        "text": pa.array(["x"], pa.string_view()),
    }
    pq.write_table(pa.table(said), tmp_path / "a.parquet")
    (row,) = scan(tmp_path / "a.parquet", workspace)
    assert (row["license"], row["sidecar"]) == ("MIT", "x")


def test_folders_of_an_imagefolder_say_the_split(tmp_path, workspace):
    root = tmp_path / "test" / "set"  # where the set lies says nothing
    for name in ("train/cat", "validation/cat", "data/test", "latest"):
        (root / name).mkdir(parents=True)
        (root / name / "a.png").write_bytes(name.encode())
    (root / "data" / "test" / "b.png").write_bytes(b"told")
    (root / "data" / "test" / "metadata.csv").write_text("file_name,gesso_split\nb.png,train\n")
    splits = {row["origin"].removeprefix(f"{root}/"): row["split"] for row in scan(root, workspace)}
    assert splits == {
        "train/cat/a.png": None,
        "validation/cat/a.png": "held_out",
        "data/test/a.png": "held_out",
        "data/test/b.png": "train",
        "latest/a.png": None,
    }


def test_an_id_is_asked_of_the_hub_and_what_is_none_is_refused(workspace):
    huggingface.check(Source(kind="huggingface", path="owner/name"), 0)
    assert list(huggingface.known(Source(kind="huggingface", path="owner/name"), workspace)) == [("owner/name", None)]
    with pytest.raises(InputError, match=r"sources\.0\.path.*dataset.*hub cannot be reached"):
        scan("owner/name", workspace)
    with pytest.raises(InputError, match="no hub id looks like this"):
        huggingface.check(Source(kind="huggingface", path="/no/such/place"), 0)


@pytest.mark.hub
def test_a_dataset_of_the_hub(workspace):
    rows = scan("huggingface/cats-image", workspace)
    assert rows
    assert all(row["error"] is None for row in rows)
