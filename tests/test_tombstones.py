import pytest

from pipeline import tombstones
from pipeline.errors import PictureError
from pipeline.tombstones import Tombstone
from pipeline.workspace import Workspace


def stone(name, **more):
    return Tombstone(**{"sample_id": name, "pixel_id": f"p{name}", "look": 2**63 + 5, "colours": 7, "at": "t", **more})


def test_what_is_set_stays_and_is_set_once(tmp_path):
    assert tombstones.load(tmp_path) == tombstones.Tombstones()
    tombstones.add(tmp_path, [stone("a")])
    tombstones.add(tmp_path, [stone("a", at="later"), stone("b", look=None, pixel_id=None)])
    found = tombstones.load(tmp_path)
    assert found.stones == (stone("a"), stone("b", look=None, pixel_id=None))
    assert found.samples == {"a", "b"}
    assert found.pixels == {"pa"}
    assert found.looks == [(2**63 + 5, 7)]


def test_a_tombstone_says_hashes_and_a_time_alone(tmp_path):
    tombstones.add(tmp_path, [stone("a")])
    assert set(Tombstone.__dataclass_fields__) == {"sample_id", "pixel_id", "look", "colours", "at"}
    assert (tmp_path / tombstones.FILE).read_text().count("\n") == 1


def test_bytes_that_were_forgotten_are_not_stored_again(tmp_path):
    workspace = Workspace.create(tmp_path / "w")
    sample_id = workspace.keep_original(b"a")
    workspace.original(sample_id).unlink()
    tombstones.add(workspace.root, [stone(sample_id)])
    with pytest.raises(PictureError, match="forgotten: "):
        workspace.keep_original(b"a")
    assert not workspace.original(sample_id).exists()
    workspace.keep_original(b"b")
