"""Members of zip and tar archives as a stream: nothing is unpacked by name, nothing is trusted that a header says.

    unsafe_name      a name that leads, or could lead, out of its folder (`_packed`)
    not_followed     a link
    unreadable       a device or pipe
    encrypted        it takes a password
    nested_archive   an archive within one (`_packed`)
    too_many_bytes   larger than a picture may be
    bomb             unpacked, the archive is out of all proportion to its size
    too_many_members
    corrupt          the archive, or this member of it, is damaged

What is wrong with a member is its own problem; what is wrong with the archive ends it there; what came before stays.
"""

import bz2
import gzip
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from pipeline.errors import PictureError
from pipeline.imaging import Limits
from pipeline.sources._packed import Member

ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
MOST_MEMBERS = 1_000_000
PROPORTION = 100
"""How many times its own size an archive may come to unpacked. Pictures hardly shrink; flat ones by 100 or so."""
ALWAYS = 2**30
"""Bytes that any archive may come to."""
HEADERS = 4 * 2**20
"""Bytes that the headers between two members may have: a long name is one, a bomb is another."""
CHUNK = 2**20
GZIP, BZIP2, XZ = PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ")
"""What a packed tar begins with."""
DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    ValueError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
)
"""What the standard library's readers raise at damaged archives and at ways of packing that they do not know."""


class TooMuch(Exception):  # noqa: N818 (a condition, caught right here)
    """A stream gave more than it may."""


def read(path: Path) -> Iterator[Member]:
    """The members of an archive, by what it is and not by its name."""
    try:
        # a tar whose last member is a zip passes for a zip, too: that looks at the end
        reader = _zip if not _begins_as_tar(path) and zipfile.is_zipfile(path) else _tar
        yield from reader(path)
    except TooMuch:
        yield Member("", problem=PictureError("bomb", "out of all proportion to its size; the rest was not read"))
    except DAMAGE as error:
        yield Member("", problem=PictureError("corrupt", f"{_words(error)}; what comes after it was not read"))


def most_bytes(path: Path) -> int:
    """How many bytes an archive may come to."""
    return max(ALWAYS, PROPORTION * path.stat().st_size)


def _zip(path: Path) -> Iterator[Member]:
    budget = most_bytes(path)
    with zipfile.ZipFile(path) as archive:
        listed = archive.infolist()
        for number, info in enumerate(listed, start=1):
            if number > MOST_MEMBERS:
                yield _too_many()
                return
            if info.is_dir():
                continue
            share, data, problem = number / len(listed), None, _zip_problem(info)
            if problem is None and info.file_size > budget:
                problem = PictureError("bomb", "the archive is out of all proportion to its size")
            if problem is None:
                try:
                    with archive.open(info) as member:
                        data = _whole(member)
                    budget -= len(data)
                except PictureError as error:
                    problem, budget = error, budget - Limits().max_bytes
                except DAMAGE as error:
                    problem = PictureError("corrupt", _words(error))
            yield Member(info.filename, data, problem, share=share)


def _zip_problem(info: zipfile.ZipInfo) -> PictureError | None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return PictureError("not_followed", "a link")
    if kind and kind not in (stat.S_IFREG, stat.S_IFDIR):
        return PictureError("unreadable", "a pipe, socket or device")
    if info.flag_bits & 1:
        return PictureError("encrypted", "it takes a password")
    return _too_large(info.file_size)


def _tar(path: Path) -> Iterator[Member]:
    size, budget = path.stat().st_size, most_bytes(path)
    with path.open("rb") as raw, _unpacked(raw) as plain:
        stream = _Metered(plain)
        # zeros are passed over, since tars are put one behind the other
        with tarfile.open(
            fileobj=cast("IO[bytes]", stream), mode="r|", errorlevel=0, tarinfo=_Header, ignore_zeros=True
        ) as archive:
            stream.left, number = HEADERS, 0
            while (member := archive.next()) is not None:
                archive.members = []  # type: ignore[attr-defined]  # it would keep them all
                number += 1
                if number > MOST_MEMBERS:
                    yield _too_many()
                    return
                budget -= member.size
                if budget < 0:
                    raise TooMuch
                stream.left = member.size + HEADERS
                if not member.isdir():
                    data, problem = None, _tar_problem(member)
                    if problem is None and (file := archive.extractfile(member)) is not None:
                        data = _whole(file)
                    share = min(1.0, raw.tell() / max(1, size))
                    yield Member(member.name, data, problem, share=share)
                stream.left = member.size + HEADERS


class _Header(tarfile.TarInfo):
    """A header of a tar; where the library takes a damaged or missing one for the end, this says so."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> "_Header":
        """The next header.

        Raises:
            ReadError: it is damaged, or the archive ends without the zeros that end one.
        """
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            archive.has_ended = True  # type: ignore[attr-defined]
            raise
        except tarfile.EmptyHeaderError as error:  # type: ignore[attr-defined]
            if not getattr(archive, "has_ended", False):
                raise tarfile.ReadError("it ends without the mark of its end") from error
            raise
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]
            raise tarfile.ReadError(str(error)) from error


def _begins_as_tar(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(tarfile.BLOCKSIZE)
    if start.startswith(PACKED):
        return True
    try:
        tarfile.TarInfo.frombuf(start, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _tar_problem(member: tarfile.TarInfo) -> PictureError | None:
    if member.issym() or member.islnk():
        return PictureError("not_followed", "a link")
    if not member.isreg():
        return PictureError("unreadable", "a pipe, socket or device")
    if member.issparse():
        return PictureError("unreadable", "a file with holes")
    return _too_large(member.size)


class _Metered:
    """A stream that gives at most `left` bytes until it is set again."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.left = HEADERS

    def read(self, size: int) -> bytes:
        """Up to `size` bytes.

        Raises:
            TooMuch: that is more than are left.
        """
        data = self._stream.read(size)
        self.left -= len(data)
        if self.left < -tarfile.RECORDSIZE:
            raise TooMuch
        return data


def _unpacked(raw: IO[bytes]) -> IO[bytes]:
    start = raw.read(6)
    raw.seek(0)
    if start.startswith(GZIP):
        return cast("IO[bytes]", gzip.GzipFile(fileobj=raw))
    if start.startswith(BZIP2):
        return bz2.BZ2File(raw)
    if start.startswith(XZ):
        return lzma.LZMAFile(raw)
    return raw


def _whole(file: IO[bytes]) -> bytes:
    """All of a member.

    Raises:
        PictureError: it is larger than its header said, and than is allowed.
    """
    parts, size = [], 0
    while part := file.read(CHUNK):
        size += len(part)
        if problem := _too_large(size):
            raise problem
        parts.append(part)
    return b"".join(parts)


def _too_large(size: int) -> PictureError | None:
    most = Limits().max_bytes
    return PictureError("too_many_bytes", f"{size} bytes, at most {most} are allowed") if size > most else None


def _too_many() -> Member:
    return Member(
        "", problem=PictureError("too_many_members", f"more than {MOST_MEMBERS}; what comes after was not read")
    )


def _words(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
