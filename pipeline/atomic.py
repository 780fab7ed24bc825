"""Files and folders that appear complete or not at all, whatever ends the process, and what a killed one leaves.

What is being written bears a hidden name that ends in `.part`, is locked by its writer, and gets its own name by a
rename once it is on the disk. The kernel gives the lock back when the writer dies, so `sweep` can tell what nobody
writes any more from what another process writes now.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from uuid import uuid4

PART = ".part"


@contextmanager
def file(path: Path) -> Iterator[Path]:
    """Yield a path to write; on leaving, its bytes are synced to disk and it takes the name `path`.

    If that fails, or the block does, `path` is what it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _part(path) as (part, descriptor):
        yield part
        os.fsync(descriptor)
        part.replace(path)
    _sync(path.parent)


@contextmanager
def folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder to fill; on leaving, all in it is synced to disk and it takes the name `path`.

    If the block fails, `path` is what it was. A folder of that name goes; a kill just then can leave neither, so this
    replaces only what can be made again.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _part(path, folder=True) as (part, _):
        yield part
        for below, _, names in os.walk(part):
            for name in names:
                _sync(Path(below, name))
            _sync(Path(below))
        remove(path)
        part.rename(path)
    _sync(path.parent)


def remove(path: Path) -> None:
    """Remove a folder at once: it is never seen half removed. One that is not there does no harm."""
    with suppress(FileNotFoundError):
        aside = _aside(path)
        path.rename(aside)
        shutil.rmtree(aside)


def set_aside(path: Path) -> Path:
    """Give something damaged a name that nobody reads, for whoever wants to look at it; returns its new path."""
    names = (path.with_name(f"{path.name}.damaged{number or ''}") for number in count())
    aside = next(one for one in names if not one.exists())
    path.rename(aside)
    _sync(path.parent)
    return aside


def sweep(root: Path) -> int:
    """Remove below `root` what killed processes left unfinished, and return how much it was.

    What a living process writes stays. Links to folders are not followed.
    """
    swept = 0
    for below, folders, names in os.walk(root):
        swept += sum(_discard(Path(below, name)) for name in [*folders, *names] if is_part(name))
        folders[:] = [name for name in folders if not is_part(name)]
    return swept


def is_part(name: str) -> bool:
    """Whether this is the name of something unfinished."""
    return name.startswith(".") and name.endswith(PART)


@contextmanager
def _part(path: Path, *, folder: bool = False) -> Iterator[tuple[Path, int]]:
    """A new part of `path`, locked, with its descriptor; it is gone after the block, renamed or removed."""
    part, descriptor = _begin(path, folder=folder)
    try:
        yield part, descriptor
    except BaseException:
        shutil.rmtree(part, ignore_errors=True) if folder else part.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def _begin(path: Path, *, folder: bool) -> tuple[Path, int]:
    while True:
        part = _aside(path)
        if folder:
            part.mkdir()
        try:
            descriptor = os.open(part, os.O_RDONLY if folder else os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except FileNotFoundError:
            if folder and path.parent.exists():
                continue  # swept before it was opened
            raise
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return part, descriptor
        os.close(descriptor)  # swept before it was locked


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid4().hex[:8]}{PART}")


def _discard(part: Path) -> bool:
    """Remove a part unless someone holds its lock."""
    try:
        descriptor = os.open(part, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:  # finished by now
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(part) if part.is_dir() else part.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _sync(path: Path) -> None:
    """Have the bytes of a file, or the names in a folder, reach the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
