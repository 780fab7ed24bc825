"""What the last scan of a folder read, so that the next one reads only what is new or changed."""

import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from pipeline.manifest import digest, read_table
from pipeline.sources import _captions
from pipeline.sources._rows import shown
from pipeline.workspace import Workspace, write_table

SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("size", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("sample_id", pa.string()),
        *_captions.COLUMNS,
    ]
)
Known = tuple[str, int, int]
"""What a file is known by while nobody changes it: path below the root, size in bytes, time of change in ns."""


class Remembered(NamedTuple):
    """What the last scan of a folder read of a picture and of the caption beside it."""

    sample_id: str | None
    caption: _captions.Beside


NEVER = Remembered(None, _captions.NONE)


def identity(path: str, root: Path, status: os.stat_result | None = None) -> Known:
    """What the file at a path is known by."""
    status = status or os.stat(path)  # noqa: PTH116 (of 100,000 files a Path takes seconds more)
    return shown(path.removeprefix(prefix(root))), status.st_size, status.st_mtime_ns


def seen(root: Path, workspace: Workspace) -> dict[Known, str]:
    """The sample ids of the files that the last scan of this folder read, by their identity."""
    return {known: one.sample_id for known, one in remembered(root, workspace).items() if one.sample_id}


def remembered(root: Path, workspace: Workspace) -> dict[Known, Remembered]:
    """What the last scan read; nothing before the first one."""
    place = _memory(root, workspace)
    if not place.exists():
        return {}
    table = read_table(place)
    there = (name for name in SCHEMA.names if name in table.column_names)  # of earlier versions, no captions
    columns = {name: table[name].to_pylist() for name in there}
    path, size, changed, sample, *caption = (columns.get(name, [None] * len(table)) for name in SCHEMA.names)
    besides = (_captions.Beside(*one) for one in zip(*caption, strict=True))
    found = map(Remembered, sample, besides)
    return dict(zip(zip(path, size, changed, strict=True), found, strict=True))


def remember(root: Path, workspace: Workspace, now: Mapping[Known, Remembered]) -> None:
    """Replace it by what was read now."""
    rows = [(*known, one.sample_id, *one.caption) for known, one in now.items()]
    columns = list(zip(*rows, strict=True)) or [()] * len(SCHEMA)
    arrays = [pa.array(one, kind) for one, kind in zip(columns, SCHEMA.types, strict=True)]
    write_table(_memory(root, workspace), pa.table(arrays, schema=SCHEMA))


def _memory(root: Path, workspace: Workspace) -> Path:
    return workspace.root / "tables" / "files" / f"{digest(str(root.resolve()))[:16]}.parquet"


@functools.lru_cache(maxsize=256)
def prefix(folder: Path) -> str:
    """What the paths of files in a folder begin with."""
    return str(folder / "-")[:-1]
