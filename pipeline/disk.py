"""What the operating system says of a disk that is full, read-only, failing or gone, in a sentence that helps."""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import DiskError

_AGAIN = "then run the same command again; what was done is kept."
_MOVE = f"Make room there, {_AGAIN}"
_SAID = {
    errno.ENOSPC: ("the disk is full", _MOVE),
    errno.EDQUOT: ("your quota on this disk is used up", _MOVE),
    errno.EFBIG: ("the disk or a limit of this process (ulimit -f) allows no file as large", f"Raise it, {_AGAIN}"),
    errno.EROFS: ("the disk is read-only", f"Make it writable, {_AGAIN}"),
    errno.EACCES: ("this folder or file may not be used (permission denied)", f"Allow it, {_AGAIN}"),
    errno.EPERM: ("this folder or file may not be used (not permitted)", f"Allow it, {_AGAIN}"),
    errno.EIO: ("the disk failed (input/output error)", f"Check the disk, {_AGAIN}"),
    errno.ESTALE: ("the disk is gone (stale file handle)", f"Bring it back, {_AGAIN}"),
}


def explained(error: BaseException, root: Path) -> DiskError | None:
    """What is wrong with the disk, where an error comes of that; `root` is the folder that was worked in."""
    for one in _chain(error):
        number = _number(one)
        if number in _SAID:
            problem, remedy = _SAID[number]
            named = getattr(one, "filename", None)
            place = os.fsdecode(named) if isinstance(named, str | bytes | os.PathLike) else str(root)
            return DiskError(problem, field=place, value=_room(root) if remedy is _MOVE else None, remedy=remedy)
        if number in (errno.ENOENT, errno.ENOTDIR) and not root.is_dir():
            return DiskError("this folder is gone", field=str(root), remedy=f"Bring it back, {_AGAIN}")
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that it came of: torch hides the system's own behind one that tells nothing."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _number(error: BaseException) -> int | None:
    if isinstance(error, OSError):
        return error.errno
    told = re.search(r"\(os error (\d+)\)", str(error))  # safetensors, as Rust words it
    return int(told[1]) if told else None


def _room(root: Path) -> str | None:
    try:
        return f"{shutil.disk_usage(root).free / 2**20:.1f} MiB free"
    except OSError:
        return None
