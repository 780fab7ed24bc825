import os
import zipfile

import pytest

from pipeline.errors import PictureError
from pipeline.manifest import ORIGINS, table_of
from pipeline.settings import Source
from pipeline.sources import _packed
from pipeline.sources._packed import Member
from pipeline.workspace import Workspace


@pytest.fixture
def workspace(tmp_path):
    return Workspace.create(tmp_path / "workspace")


@pytest.fixture
def scan(workspace, tmp_path):
    """Rows of a container with the given members, by their name in it."""
    container = tmp_path / "box.zip"
    container.write_bytes(b"x")

    def scan(*members, opened=None, **settings):
        def reader(path):
            (opened if opened is not None else []).append(path)
            yield from members

        source = Source(path=container, **settings)
        rows = _packed.scan(
            source, 0, workspace, [container], reader, on_read=lambda _: None, progress=lambda done, total: None
        )
        table_of(rows, ORIGINS)
        assert len({row["origin"] for row in rows}) == len(rows)
        return {row["origin"].removeprefix(f"{container}").removeprefix("/"): row for row in rows}

    scan.container = container
    return scan


def test_what_stands_beside_a_picture_is_brought_to_it(scan, workspace):
    metadata = '{"file_name": "b.png", "text": "told", "license": "MIT"}\n{"file_name": "gone.png"}'
    rows = scan(
        Member("dogs/a.txt", b"\xef\xbb\xbf a dog \n"),
        Member("dogs/a.png", b"a"),
        Member("dogs/a-masklabel.png", b"mask"),
        Member("b.png", b"b"),
        Member("b.txt", b"from beside"),
        Member("metadata.jsonl", metadata.encode()),
        Member("lonely.txt", b"to whom it may concern"),
        **{"class": "{folder}"},
    )
    assert set(rows) == {"dogs/a.png", "dogs/a-masklabel.png", "b.png", "lonely.txt", "gone.png"}
    assert (rows["dogs/a.png"]["sidecar"], rows["dogs/a.png"]["class"]) == ("a dog", "dogs")
    assert rows["dogs/a.png"]["mask"] == rows["dogs/a-masklabel.png"]["sample_id"]
    assert rows["dogs/a-masklabel.png"]["mask_of"].endswith("box.zip/dogs/a.png")
    assert (rows["b.png"]["sidecar"], rows["b.png"]["license"], rows["b.png"]["class"]) == ("told", "MIT", "box")
    assert rows["gone.png"]["error"].startswith("missing: named in ")
    assert workspace.original(rows["lonely.txt"]["sample_id"]).read_bytes() == b"to whom it may concern"


def test_an_unchanged_container_is_not_opened_again_but_told_of_anew(scan, workspace):
    opened = []
    members = (Member("a.png", b"a", told={"text": "a cat"}), Member("b.png", problem=PictureError("corrupt", "x")))
    first = scan(*members, opened=opened)
    assert scan(*members, opened=opened) == first
    assert scan(*members, opened=opened, trigger="sks")["a.png"]["trigger"] == "sks"
    assert len(opened) == 1
    assert list(_packed.known([scan.container], workspace)) == [
        (f"{scan.container}/a.png", first["a.png"]["sample_id"]),
        (f"{scan.container}/b.png", None),
    ]
    os.utime(scan.container, ns=(1, 1))
    assert list(_packed.known([scan.container], workspace)) == [(str(scan.container), None)]
    scan(*members, opened=opened)
    workspace.original(first["a.png"]["sample_id"]).unlink()
    scan(*members, opened=opened)
    assert len(opened) == 3


@pytest.mark.parametrize(
    "name", ["../a.png", "/etc/passwd", "a/../../b", "C:\\x.png", "..\\a.png", "\\\\host\\a", "a\0.png", "C:/x"]
)
def test_names_that_lead_out_are_refused(scan, name):
    rows = scan(Member(name, b"evil"), Member("good.png", b"good"))
    (bad,) = (row for row in rows.values() if row["error"])
    assert bad["error"].startswith("unsafe_name: ")
    assert bad["sample_id"] is None
    assert rows["good.png"]["error"] is None


def test_hidden_ones_are_left_alone_and_names_are_taken_once(scan):
    rows = scan(
        Member(".DS_Store", b"x"),
        Member("__MACOSX/a.png", b"x"),
        Member("a.png", b"a"),
        Member("a.png", b"other"),
        Member("A.png", b"large"),
    )
    assert set(rows) == {"a.png", "a.png (entry 4)", "A.png"}
    assert rows["a.png (entry 4)"]["error"] == "name_taken: an earlier entry has this name"


def test_names_that_mean_the_same_place_are_one(scan):
    """tar writes ./a.png where it was told to pack a folder."""
    rows = scan(
        Member("./a.png", b"a"),
        Member("./a.txt", b"a cat"),
        Member("./a-masklabel.png", b"mask"),
        Member("b//c.png", b"c"),
        Member("b/./c.png", b"other"),
    )
    assert set(rows) == {"a.png", "a-masklabel.png", "b/c.png", "b/c.png (entry 5)"}
    assert (rows["a.png"]["sidecar"], rows["a.png"]["mask"]) == ("a cat", rows["a-masklabel.png"]["sample_id"])
    assert rows["b/c.png (entry 5)"]["error"].startswith("name_taken: ")


def test_no_names_make_two_rows_one_or_end_the_reading(scan):
    members = ["a (entry 3)", "a", "a", ".", "./", "..", "a/..", "\udcff.png", "\udcff.txt", "/a", "//a", "b" * 5000]
    rows = scan(*(Member(name, str(number).encode()) for number, name in enumerate(members)))
    assert len(rows) == len(members) - 1  # one is a caption
    assert rows["\\xff.png"]["sidecar"] == "8"


def test_a_name_from_the_root_is_told_as_one_of_its_container(scan):
    assert [row["origin"] for row in scan(Member("/etc/a.png", b"a")).values()] == [f"{scan.container}//etc/a.png"]


def test_archives_within_are_refused(scan):
    import gzip
    import io
    import tarfile

    tar = io.BytesIO()
    tarfile.open(fileobj=tar, mode="w").close()
    inner = io.BytesIO()
    zipfile.ZipFile(inner, "w").close()
    named = io.BytesIO()
    with tarfile.open(fileobj=named, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"))
    rows = scan(
        Member("a.png", inner.getvalue()), Member("b.png", gzip.compress(b"x")), Member("c.png", named.getvalue())
    )
    assert [row["error"].partition(";")[0] for row in rows.values()] == [
        "nested_archive: a zip archive within one",
        "nested_archive: a gzip archive within one",
        "nested_archive: a tar archive within one",
    ]


def test_what_cannot_be_understood_of_a_picture_is_its_own_problem(scan):
    rows = scan(Member("a.png", b"a", told={"license": ["MIT"]}), Member("b.png", b"b"))
    assert rows["a.png"]["error"].startswith("metadata: ")
    assert rows["b.png"]["error"] is None


def test_the_container_itself_may_have_a_problem(scan):
    rows = scan(Member("a.png", b"a"), Member("", problem=PictureError("bomb", "too large")))
    assert rows[""]["error"] == "bomb: too large"
    assert rows["a.png"]["error"] is None
