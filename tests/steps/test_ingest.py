import hashlib
import shutil

import pytest
from PIL import Image

from pipeline.errors import InputError


def test_origins_list_every_file_with_its_bytes_identity_and_caption(finished, pictures):
    origins = {row["origin"].rpartition("/")[2]: row for row in finished.run.rows("origins")}
    assert set(origins) == {path.name for path in pictures.glob("*.png")}
    for name, row in origins.items():
        data = (pictures / name).read_bytes()
        assert row["sample_id"] == hashlib.sha256(data).hexdigest()
        assert finished.run.workspace.original(row["sample_id"]).read_bytes() == data
        beside = pictures / name.replace(".png", ".txt")
        assert row["sidecar"] == (beside.read_text() if beside.exists() else None)
    assert finished.said["ingest"] == "14 files, 0 unreadable"
    assert (finished.stats["ingest"].computed, finished.stats["ingest"].cached) == (14, 0)


def test_a_file_that_cannot_be_read_is_an_origin_with_an_error(begun, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    made = begun(sources=[{"path": str(folder)}]).go("ingest")
    (row,) = made.run.rows("origins")
    assert row["sample_id"] is None
    assert row["error"]
    assert made.said["ingest"] == "1 files, 1 unreadable"


def test_two_sources_that_name_the_same_files_are_refused(begun, pictures):
    made = begun(sources=[{"path": str(pictures)}, {"path": str(pictures)}])
    with pytest.raises(InputError, match="two sources name the same files"):
        made.go("ingest")
    assert made.run.rows("origins") == []


def test_an_empty_folder_is_refused_by_its_name(begun, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="there are no files here") as caught:
        begun(sources=[{"path": str(tmp_path / "empty")}]).go("ingest")
    assert str(tmp_path / "empty") in str(caught.value)


def test_a_file_that_objects_to_training_is_not_trained_on(begun, pictures, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("00.png", "01.png"):
        shutil.copy(pictures / name, folder)
    packet = "<x:xmpmeta><plus:DataMining>http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED</plus:DataMining></x:xmpmeta>"
    Image.open(folder / "00.png").save(folder / "mine.webp", xmp=packet.encode(), lossless=True)
    (folder / "metadata.csv").write_text("file_name,license,ai_optout\nmine.webp,CC0-1.0,no\n")
    source = {"path": str(folder), "rights": {"license": "CC0-1.0"}}
    made = begun(sources=[source]).go("ingest", "measure", "select")
    assert made.ledger["mine.webp"]["reason"] == "training objected to"
    assert made.ledger["mine.webp"]["value"] == "IPTC/PLUS DataMining: DMI-PROHIBITED, in the file"
    assert {made.ledger[name]["state"] for name in ("00.png", "01.png")} <= {"kept", "held_out"}


def test_sources_are_never_changed(finished, pictures, tree):
    assert tree(pictures).keys() == {path.name for path in pictures.iterdir()}
    for row in finished.run.rows("origins"):
        name = row["origin"].rpartition("/")[2]
        assert tree(pictures)[name] == row["sample_id"]
