import pickle
import zipfile

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save, save_file

from pipeline import headers


@pytest.fixture
def path(tmp_path):
    tensors = {"one": torch.zeros(2, 3), "two": torch.zeros(4, dtype=torch.bfloat16)}
    save_file(tensors, tmp_path / "a.safetensors", metadata={"format": "pt", "said": "é"})
    return tmp_path / "a.safetensors"


def test_a_header_says_what_is_in_the_file(path):
    found = headers.read(path)
    assert found.tensors == {"one": headers.Entry("F32", (2, 3)), "two": headers.Entry("BF16", (4,))}
    assert found.metadata == {"format": "pt", "said": "é"}
    assert found.tensors["one"].size == 6
    assert headers.problem(path) is None


def test_pickles_are_known_whatever_they_are_called(tmp_path):
    torch.save({"one": torch.zeros(2)}, tmp_path / "zip.safetensors")
    assert zipfile.is_zipfile(tmp_path / "zip.safetensors")
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        (tmp_path / f"{protocol}.safetensors").write_bytes(pickle.dumps({"one": [0.0] * 100}, protocol))
    torch.save({"one": torch.zeros(2)}, tmp_path / "old.safetensors", _use_new_zipfile_serialization=False)
    for path in tmp_path.iterdir():
        assert headers.problem(path) == "it is a pickle under another name, which can run code when it is opened"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "it is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:12", "pointer of Git LFS"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"GGUF\x03\x00\x00\x00more", "GGUF"),
        (b"hello, what is this", "no safetensors file"),
        (b"\xff" * 8 + b"{}", "no safetensors file"),
        ((2).to_bytes(8, "little") + b"{]", "damaged"),
        ((9).to_bytes(8, "little") + b'{"a": 1}\n', "damaged"),
        ((2).to_bytes(8, "little") + b"{}tail", "longer than it says"),
    ],
)
def test_what_is_something_else_is_named(data, problem, tmp_path):
    (tmp_path / "a.safetensors").write_bytes(data)
    assert problem in headers.problem(tmp_path / "a.safetensors")


def test_a_file_that_is_not_there(tmp_path):
    assert headers.problem(tmp_path / "a.safetensors") == "it cannot be read (No such file or directory)"


@given(st.data())
def test_a_file_that_is_cut_anywhere_is_refused(tmp_path_factory, data):
    whole = save({"one": torch.zeros(3), "two": torch.ones(2, 2)}, {"format": "pt"})
    path = tmp_path_factory.getbasetemp() / "cut.safetensors"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    assert headers.problem(path) is not None
    path.write_bytes(whole)
    assert headers.problem(path) is None
