import errno
import os
from pathlib import Path

import pytest

from pipeline.errors import InputError, PictureError
from pipeline.manifest import ORIGINS, table_of
from pipeline.settings import Rights, Source
from pipeline.sources._metadata import Told
from pipeline.sources._rows import describe, files_of, further, said, shown

SOURCE = Source(path=Path("x"), rights=Rights(license="CC0-1.0", creator="Ben"), **{"class": "{folder} dog"})


def row(told=None, sidecar=None):
    return describe("x/a.png", SOURCE, 2, told, sidecar, folder="shiba")


def test_what_is_told_of_a_file_goes_before_what_is_told_of_its_source():
    told = Told("here", "a cat", {"creator": "Anna", "ai_optout": True}, {"trigger": "sks", "repeats": 5})
    made = row(told, "from beside")
    assert table_of([made], ORIGINS).num_rows == 1
    assert {name: made[name] for name in ("license", "creator", "ai_optout", "sidecar", "class", "trigger")} == {
        "license": "CC0-1.0",
        "creator": "Anna",
        "ai_optout": True,
        "sidecar": "a cat",
        "class": "shiba dog",
        "trigger": "sks",
    }
    assert (made["source"], made["repeats"]) == (2, 5)


@pytest.mark.parametrize(("caption", "sidecar"), [(None, "from beside"), ("", None), ("told", "told")])
def test_a_caption_that_is_told_to_be_empty_is_not_taken_from_beside(caption, sidecar):
    assert row(Told("here", caption), "from beside")["sidecar"] == sidecar


def test_further_places_have_rights_of_their_own_alone():
    told = Told("here", also=({"license": "MIT"}, {"creator": "Eve"}))
    places = list(further({**row(told), "sample_id": "s"}, told))
    assert [(one["origin"], one["license"], one["creator"], one["sample_id"]) for one in places] == [
        ("x/a.png#2", "MIT", None, "s"),
        ("x/a.png#3", None, "Eve", "s"),
    ]
    assert list(further(row(), None)) == []


def test_errors_are_a_reason_and_a_detail():
    assert said(PictureError("corrupt", "bits")) == "corrupt: bits"
    assert said(OSError(errno.EACCES, os.strerror(errno.EACCES))) == "unreadable: Permission denied"


def test_names_that_are_no_utf_8_are_shown():
    assert shown(os.fsdecode(b"caf\xe9")) == "caf\\xe9"


def test_files_of_a_source_are_itself_or_those_below_it(tmp_path):
    for name in ("b.tar", "deep/a.TAR.GZ", ".hidden/c.tar", "d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    endings = (".tar", ".tar.gz")
    assert files_of(Source(path=tmp_path), 0, endings, "tar") == [tmp_path / "b.tar", tmp_path / "deep" / "a.TAR.GZ"]
    assert files_of(Source(path=tmp_path / "d.png"), 0, endings, "tar") == [tmp_path / "d.png"]
    with pytest.raises(InputError, match=r"sources\.3\.path: there is no tar here"):
        files_of(Source(path=tmp_path / "nowhere"), 3, endings, "tar")
