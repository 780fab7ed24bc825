import os
import tarfile
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources._names import nested, unsafe


@given(st.text(st.sampled_from("a./\\:"), min_size=1, max_size=12))
def test_a_name_that_is_not_refused_stays_below(name):
    if unsafe(name) is None:
        assert os.path.normpath(f"/box/{name}").startswith("/box")


@pytest.mark.parametrize("name", [".", "./", "..", "a/..", "/", "/a", "C:/a", "a\\..\\b", "a\0b"])
def test_names_that_are_refused(name):
    assert str(unsafe(name)).startswith("unsafe_name: ")


def test_archives_are_known_by_how_they_begin():
    data = BytesIO()
    with tarfile.open(fileobj=data, mode="w") as made:
        made.addfile(tarfile.TarInfo("a"))
    assert nested(data.getvalue()) == "tar"
    assert nested(b"PK\x03\x04...") == "zip"
    assert nested(b"\x89PNG\r\n\x1a\n") is None
