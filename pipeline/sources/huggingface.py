"""A dataset of pictures in one of Hugging Face's forms: Parquet files, or an imagefolder; local, or by its hub id.

In Parquet the pictures are the column of the feature Image, or one of bytes; captions and rights are columns named as
in `metadata.jsonl`. Files of a split `validation` or `test` are held out, as are those in folders of an imagefolder
that are so named, unless `gesso_split` says otherwise.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import hub, model_files
from pipeline.errors import InputError, PictureError
from pipeline.imaging import Limits
from pipeline.manifest import Row
from pipeline.settings import Source
from pipeline.sources import _metadata, _packed, folder
from pipeline.sources._packed import Member
from pipeline.sources._rows import files_of, shown
from pipeline.workspace import Workspace

DESCRIPTION = "a dataset of Hugging Face's: Parquet files or an imagefolder, in a local folder or by hub id"
ENDINGS = (".parquet",)
ROWS = 8
"""Rows that are in memory at a time."""
HELD_OUT = ("validation", "valid", "val", "dev", "test", "testing", "eval")
"""How files of splits that are not trained on are named (datasets' own words)."""
WANTED = ("*.parquet", "*.jsonl", "*.csv", "*.txt", "*.jpg", "*.jpeg", "*.png", "*.webp", "*.bmp", "*.gif", "*.tif*")


def check(source: Source, position: int) -> None:
    """See that there is a dataset here, or that this can be an id.

    Raises:
        InputError: neither is so.
    """
    if not source.path.exists() and not model_files.is_id(str(source.path)):
        raise InputError(
            "there is no such folder or file, and no hub id looks like this",
            field=f"sources.{position}.path",
            value=str(source.path),
            remedy="Name a folder, a Parquet file or a dataset's id, owner/name.",
        )


def known(source: Source, workspace: Workspace) -> Iterator[tuple[str, str | None]]:
    """Each picture that is remembered; what would be read or downloaded first counts as one."""
    if not source.path.exists():
        yield str(source.path), None
    elif parquet := _parquet(source):
        yield from _packed.known(parquet, workspace)
    else:
        yield from folder.known(source, workspace)


def scan(
    source: Source,
    position: int,
    workspace: Workspace,
    *,
    on_read: Callable[[Path], object] = lambda _: None,
    progress: Callable[[int, int], object] = lambda done, total: None,  # noqa: ARG005 (names say what comes)
) -> list[Row]:
    """One row for each picture; a dataset of the hub is downloaded first.

    Raises:
        InputError: there is no such dataset, it cannot be had, or its metadata cannot be understood.
    """
    check(source, position)
    if not source.path.exists():
        source = source.model_copy(update={"path": download(source, position)})
    if parquet := _parquet(source):
        return _packed.scan(source, position, workspace, parquet, read, on_read=on_read, progress=progress)
    return _held_out(folder.scan(source, position, workspace, on_read=on_read, progress=progress), source.path)


def download(source: Source, position: int) -> Path:
    """The folder of a hub dataset in the local cache, downloaded where it is not there.

    Raises:
        InputError: there is no such dataset, or it cannot be had.
    """
    return hub.download(
        str(source.path),
        source.revision,
        wanted=WANTED,
        unwanted=(),
        complete=lambda path: any(path.iterdir()),
        field=f"sources.{position}.path",
        kind="dataset",
    )


def read(path: Path) -> Iterator[Member]:
    """The pictures of a Parquet file, each with its row, and its mask where it has one."""
    try:
        with pq.ParquetFile(path) as file:
            columns = _pictures(file.schema_arrow)
            if not columns:
                yield Member("", problem=PictureError("not_a_picture", "a Parquet file without a column of pictures"))
                return
            wanted = [*columns[:1], *(name for name in _told_of(file.schema_arrow) if name not in columns)]
            wanted += [name for name in columns if name == "mask" and name not in wanted]
            total, number = max(1, file.metadata.num_rows), 0
            for batch in file.iter_batches(batch_size=ROWS, columns=wanted):
                for row in batch.to_pylist():
                    number += 1
                    yield from _members(row, columns[0], number, path, number / total)
    except (pa.ArrowException, OSError, ValueError) as error:
        words = " ".join(str(error).split())[:200]
        yield Member("", problem=PictureError("corrupt", f"{words}; what comes after it was not read"))


def _members(row: Mapping[str, Any], column: str, number: int, path: Path, share: float) -> Iterator[Member]:
    data, named = _bytes(row[column])
    stem, suffix = f"{number:07}", PurePosixPath(named).suffix
    stem += f"-{PurePosixPath(named).stem}" if PurePosixPath(named).stem else ""
    problem, most = None, Limits().max_bytes
    if data is None:
        problem = PictureError("missing", "the row has no bytes of a picture")
    elif (size := len(data)) > most:
        data, problem = None, PictureError("too_many_bytes", f"{size} bytes, at most {most} are allowed")
    told = {name: _plain(row[name]) for name in row if name in _metadata.NAMES and row[name] is not None}
    if _split_of(path) in HELD_OUT:
        told.setdefault("gesso_split", "held_out")
    yield Member(f"{stem}{suffix}", data, problem, told, share)
    mask, _ = _bytes(row.get("mask")) if row.get("mask") else (None, "")
    if mask and column != "mask":
        yield Member(f"{stem}.mask.png", mask, share=share)


def _bytes(value: Any) -> tuple[bytes | None, str]:  # noqa: ANN401 (a cell)
    if isinstance(value, Mapping):
        return value.get("bytes"), PurePosixPath(str(value.get("path") or "").replace("\\", "/")).name
    return (value, "") if isinstance(value, bytes) else (None, "")


def _plain(value: Any) -> Any:  # noqa: ANN401 (a cell)
    return value.isoformat() if isinstance(value, date) else value if isinstance(value, str | int) else str(value)


def _told_of(schema: pa.Schema) -> list[str]:
    """Columns that say something of a picture; numbers count where numbers are meant."""
    number = ("gesso_repeats", "ai_optout")
    types = pa.types
    text = (types.is_string, types.is_large_string, types.is_string_view, types.is_temporal, types.is_null)

    def tells(kind: pa.DataType) -> bool:
        plain = kind.value_type if types.is_dictionary(kind) else kind  # pandas' categories
        return any(test(plain) for test in text)

    return [
        field.name for field in schema if field.name in _metadata.NAMES and (field.name in number or tells(field.type))
    ]


def _pictures(schema: pa.Schema) -> list[str]:
    """Columns of pictures, by the dataset's features, else by their type; a mask is not the first of several."""
    told = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    features = told.get("info", {}).get("features", {})
    named = [name for name, one in features.items() if isinstance(one, dict) and one.get("_type") == "Image"]
    found = [name for name in named if name in schema.names] or [field.name for field in schema if _holds(field.type)]
    return sorted(found, key=lambda name: name == "mask")


def _holds(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return any(field.name == "bytes" for field in kind)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _split_of(path: Path) -> str:
    """The split's name as `datasets` writes file names: validation-00000-of-00001.parquet."""
    first = path.name.partition("-")[0].partition(".")[0]
    return first if first in HELD_OUT else path.parent.name


def _held_out(rows: list[Row], root: Path) -> list[Row]:
    """The rows of an imagefolder, with the split that folders say: `validation/cat/1.png` is held out."""
    for row in rows:
        parts = PurePosixPath(row["origin"].removeprefix(shown(root))).parent.parts
        if row["split"] is None and any(part in HELD_OUT for part in parts):
            row["split"] = "held_out"
    return rows


def _parquet(source: Source) -> list[Path]:
    try:
        found = files_of(source, 0, ENDINGS, "Parquet file")
    except InputError:
        return []
    return [path for path in found if path.name not in _metadata.FILES]
