import pytest
import torch

from pipeline.errors import InputError, ModelError
from pipeline.interchange import bases, merge
from pipeline.original import parts


def test_a_base_model_goes_from_folder_to_file_and_back(base, tmp_path):
    bases.write(tmp_path / "a.safetensors", lambda place: merge.copy(base, place))
    with bases.opened(str(tmp_path / "a.safetensors"), config=str(base)) as folder:
        bases.write(tmp_path / "again", lambda place: merge.copy(folder, place))
    assert not folder.exists()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.safetensors", "again"]
    for part in parts.of(base):
        with parts.weights(base, part) as one, parts.weights(tmp_path / "again", part) as other:
            assert set(one) == set(other)
            assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_folders_are_taken_where_they_lie(base):
    with bases.opened(str(base)) as folder:
        assert folder == base.resolve()
    with pytest.raises(ModelError, match="BASE: there is no such folder"), bases.opened("no/such/folder/here"):
        pass


def test_what_is_there_is_never_overwritten(base, tmp_path):
    (tmp_path / "a.safetensors").write_text("mine")
    with pytest.raises(InputError, match="it is there already"):
        bases.write(tmp_path / "a.safetensors", lambda place: merge.copy(base, place))
    assert (tmp_path / "a.safetensors").read_text() == "mine"
