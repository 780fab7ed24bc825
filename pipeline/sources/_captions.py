"""The caption that stands beside a picture in a file of its own."""

import os
import stat
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa


class Beside(NamedTuple):
    """A caption, and what its file is known by while nobody changes it.

    That is its inode, its size in bytes, and the system's own time of change in ns (ctime, which no program sets back).
    """

    inode: int | None
    size: int | None
    ctime_ns: int | None
    text: str | None
    """None where nothing is in it."""


COLUMNS = (
    ("caption_inode", pa.uint64()),
    ("caption_size", pa.int64()),
    ("caption_ctime_ns", pa.int64()),
    ("caption", pa.string()),
)
"""A Beside in a table."""
NONE = Beside(None, None, None, None)
SETTLED_NS = 2 * 10**9
"""How long before it is read a file must have changed last to be known again, in ns.

A change that follows within a tick of the disk's clock shows in nothing; the coarsest, FAT's, ticks every 2 s."""


def look(paths: Sequence[str], known: Beside = NONE) -> Beside:
    """The first of the files that is there; its text is that of `known`, where the file is that one and as it was.

    Raises:
        OSError: it cannot be read.
    """
    for path in paths:
        try:
            status = os.stat(path)  # noqa: PTH116 (of 100,000 files a Path takes seconds more)
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode):
            found = Beside(status.st_ino, status.st_size, status.st_ctime_ns, known.text)
            if found == known:
                return known
            text = Path(path).read_text(encoding="utf-8-sig", errors="replace").strip() or None
            settled = time.time_ns() - status.st_ctime_ns >= SETTLED_NS
            return (found if settled else NONE)._replace(text=text)
    return NONE
