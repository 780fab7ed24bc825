"""Hostile and damaged archives end in a row each, whatever they claim."""

import bz2
import gzip
import io
import lzma
import os
import struct
import tarfile
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import PictureError
from pipeline.sources import _archives
from pipeline.sources._archives import read

MB = 2**20


def tar_of(*members, mode="w"):
    """A tar of (name, data) or of TarInfo."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=mode) as archive:
        for one in members:
            info, content = one if isinstance(one, tuple) else (one, b"")
            if isinstance(info, str):
                info = tarfile.TarInfo(info)
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return data.getvalue()


def zip_of(*members):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return data.getvalue()


@pytest.fixture
def found(tmp_path):
    """Members of an archive given as bytes: name -> data, or the problem in words."""

    def found(data):
        path = tmp_path / "archive"
        path.write_bytes(data)
        members = list(read(path))
        assert all(0 <= member.share <= 1 for member in members)
        return {one.name: str(one.problem) if one.problem else one.data for one in members}

    return found


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_tars_are_known_by_what_they_are(found, pack):
    assert found(pack(tar_of(("a.png", b"a"), ("deep/b.png", b"b" * 100_000)))) == {
        "a.png": b"a",
        "deep/b.png": b"b" * 100_000,
    }


def test_zips(found):
    assert found(zip_of(("a.png", b"a"), ("deep/", b""), ("deep/b.png", b"b" * MB))) == {
        "a.png": b"a",
        "deep/b.png": b"b" * MB,
    }


def test_a_tar_that_ends_in_a_zip_is_a_tar(found):
    """Python's look for a zip finds the last member, and would take that for the whole."""
    inner = zip_of(("evil.png", b"e"))
    assert found(tar_of(("a.png", b"a"), ("inner.zip", inner))) == {"a.png": b"a", "inner.zip": inner}


def test_a_damaged_header_of_a_tar_is_told(found):
    data = bytearray(tar_of(("a.png", b"a"), ("b.png", b"b"), ("c.png", b"c")))
    data[1024 + 150] ^= 1
    members = found(bytes(data))
    assert members.pop("a.png") == b"a"
    assert members == {"": "corrupt: bad checksum; what comes after it was not read"}


@pytest.mark.parametrize("cut", [1024, 1024 + 100, 2048, 2048 + 512 + 1])
def test_a_tar_that_is_cut_between_members_or_within_a_header_is_told(found, cut):
    members = found(tar_of(("a.png", b"a"), ("b.png", b"b" * 600), ("c.png", b"c"))[:cut])
    assert members.pop("a.png") == b"a"
    assert members[""].startswith("corrupt: ")
    assert "c.png" not in members


def test_tars_one_behind_the_other_are_read_to_the_end(found):
    assert found(tar_of(("a.png", b"a")) + tar_of(("b.png", b"b"))) == {"a.png": b"a", "b.png": b"b"}


def special(kind, name="x", link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def test_links_devices_and_pipes_of_a_tar_are_refused_and_the_rest_is_read(found):
    data = tar_of(
        special(tarfile.SYMTYPE, "link", "/etc/passwd"),
        special(tarfile.LNKTYPE, "hard", "a.png"),
        special(tarfile.FIFOTYPE, "pipe"),
        special(tarfile.CHRTYPE, "device"),
        special(tarfile.DIRTYPE, "folder"),
        ("a.png", b"a"),
    )
    assert found(data) == {
        "link": "not_followed: a link",
        "hard": "not_followed: a link",
        "pipe": "unreadable: a pipe, socket or device",
        "device": "unreadable: a pipe, socket or device",
        "a.png": b"a",
    }


def test_links_and_encrypted_members_of_a_zip_are_refused(found):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("secret", "x")
        archive.writestr("a.png", "a")
    changed = bytearray(data.getvalue())
    place = changed.index(b"PK\x01\x02", changed.index(b"PK\x01\x02") + 1)
    changed[place + 8] |= 1
    assert found(bytes(changed)) == {
        "link": "not_followed: a link",
        "secret": "encrypted: it takes a password",
        "a.png": b"a",
    }


def test_a_member_larger_than_a_picture_may_be_is_refused_and_the_rest_read(found, monkeypatch):
    monkeypatch.setattr(_archives.Limits, "__init__", lambda self: object.__setattr__(self, "max_bytes", 1000))
    for data in (tar_of(("big", b"x" * 1001), ("a", b"a")), zip_of(("big", b"x" * 1001), ("a", b"a"))):
        assert found(data) == {"big": "too_many_bytes: 1001 bytes, at most 1000 are allowed", "a": b"a"}


@pytest.mark.parametrize("make", [lambda members: gzip.compress(tar_of(*members)), lambda members: zip_of(*members)])
def test_an_archive_out_of_all_proportion_is_left(found, monkeypatch, make):
    monkeypatch.setattr(_archives, "ALWAYS", 3 * MB)
    monkeypatch.setattr(_archives, "PROPORTION", 1)
    members = found(make([(f"{number}.bmp", bytes(MB)) for number in range(5)]))
    assert [name for name, data in members.items() if isinstance(data, bytes)] == ["0.bmp", "1.bmp", "2.bmp"]
    assert all("out of all proportion" in said for said in list(members.values())[3:])
    assert len(members) >= 4


def test_a_header_that_is_a_bomb_is_not_held_in_memory(found):
    info = tarfile.TarInfo("a.png")
    info.pax_headers = {"comment": "x" * (30 * MB)}
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info)
    (said,) = found(gzip.compress(data.getvalue(), 1)).values()
    assert said.startswith("bomb: ")


def test_a_zip_whose_members_claim_more_than_there_is(found):
    changed = bytearray(zip_of(("a.png", b"a" * 50), ("b.png", b"b")))
    place = changed.index(b"PK\x01\x02")
    changed[place + 24 : place + 28] = struct.pack("<I", 2**31)
    members = found(bytes(changed))
    assert members["a.png"].startswith(("too_many_bytes", "bomb"))
    assert members["b.png"] == b"b"


def test_a_million_members_end_at_the_limit(found, monkeypatch):
    monkeypatch.setattr(_archives, "MOST_MEMBERS", 3)
    for make in (tar_of, zip_of):
        members = found(make(*((f"{number}", b"x") for number in range(5))))
        assert list(members) == ["0", "1", "2", ""]
        assert members[""].startswith("too_many_members: ")


def test_a_damaged_member_of_a_zip_spares_the_others(found):
    data = bytearray(zip_of(("a.png", os.urandom(1000)), ("b.png", b"b")))
    data[200] ^= 255
    members = found(bytes(data))
    assert members["a.png"].startswith("corrupt: ")
    assert members["b.png"] == b"b"


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.99])
@pytest.mark.parametrize("make", [tar_of, lambda *members: gzip.compress(tar_of(*members)), zip_of])
def test_what_is_cut_off_ends_in_a_row(found, make, share):
    names = [f"{number}.png" for number in range(20)]
    data = make(*((name, os.urandom(3000)) for name in names))
    members = found(data[: int(len(data) * share)])
    whole = [name for name, one in members.items() if isinstance(one, bytes)]
    assert whole == names[: len(whole)]
    if share < 0.9 and make is not zip_of:
        assert members.get("", "").startswith("corrupt: ") or any("corrupt" in str(one) for one in members.values())


@given(st.data(), st.sampled_from(["tar", "gz", "zip"]))
def test_flipped_bytes_never_end_in_anything_but_members(tmp_path_factory, data, kind):
    members = (("a.png", b"a" * 600), ("deep/b.png", bytes(range(256))))
    whole = bytearray(zip_of(*members) if kind == "zip" else tar_of(*members))
    for _ in range(data.draw(st.integers(1, 5))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("flipped") / "x"
    path.write_bytes(gzip.compress(bytes(whole), 1) if kind == "gz" else bytes(whole))
    for member in read(path):
        assert (member.data is None) == isinstance(member.problem, PictureError)
