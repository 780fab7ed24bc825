"""A folder of pictures, read recursively, with what stands beside them.

Beside a picture may stand a caption of the same name ending in .txt; in any folder a `metadata.csv` or
`metadata.jsonl` in the imagefolder convention: a column `file_name` (relative to the metadata file), a caption in
`text` or `caption`, and rights in `license`, `license_url`, `creator`, `source_url`, `attribution`.
A file that is not a picture is an origin too: whoever reads its bytes will say so in the ledger.
"""

import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import InputError
from pipeline.imaging import Limits
from pipeline.manifest import Row, digest
from pipeline.settings import Source
from pipeline.workspace import Workspace, write_table

DESCRIPTION = "a folder of pictures, read recursively, with .txt captions and metadata.csv or metadata.jsonl"
METADATA = ("metadata.csv", "metadata.jsonl")
SIDECAR = ".txt"
RIGHTS = ("license", "license_url", "creator", "source_url", "attribution")
SEEN = pa.schema([("path", pa.string()), ("size", pa.int64()), ("mtime_ns", pa.int64()), ("sample_id", pa.string())])


def scan(source: Source, position: int, workspace: Workspace) -> list[Row]:
    """One row for each file below the folder, sorted by path; new and changed ones are read and stored.

    A file whose size and time of change are as they were is trusted to be the same.

    Raises:
        InputError: the folder is not there, or a metadata file cannot be understood.
    """
    root = source.path
    if not root.is_dir():
        raise InputError(
            "there is no such folder",
            field=f"sources.{position}.path",
            value=str(root),
            remedy=f"Name a folder of pictures, or set it with --set sources.{position}.path=FOLDER.",
        )
    memory = workspace.root / "tables" / "files" / f"{digest(str(root.resolve()))[:16]}.parquet"
    seen = {(row["path"], row["size"], row["mtime_ns"]): row["sample_id"] for row in _read(memory)}
    told = dict(_metadata(root))
    rows, now = [], []
    for path in files(root):
        row = _describe(path, root, source, position, told)
        try:
            stat = path.stat()
            sample_id = seen.get((str(path.relative_to(root)), stat.st_size, stat.st_mtime_ns))
            if sample_id is None or not workspace.original(sample_id).exists():
                sample_id = _store(path, stat.st_size, workspace)
            now.append(
                {
                    "path": str(path.relative_to(root)),
                    "size": stat.st_size,
                    "mtime_ns": stat.st_mtime_ns,
                    "sample_id": sample_id,
                }
            )
            rows.append({**row, "sample_id": sample_id, "bytes": stat.st_size, "error": None})
        except (OSError, ValueError) as error:
            detail = getattr(error, "strerror", None) or str(error)
            rows.append({**row, "sample_id": None, "bytes": None, "error": f"unreadable: {detail}"})
    write_table(memory, pa.Table.from_pylist(now, schema=SEEN))
    return rows


def _store(path: Path, size: int, workspace: Workspace) -> str:
    most = Limits().max_bytes
    if size > most:
        raise ValueError(f"{size} bytes are more than the {most} that are read")
    return workspace.keep_original(path.read_bytes())


def _read(memory: Path) -> list[Row]:
    return pq.read_table(memory).to_pylist() if memory.exists() else []


def files(root: Path) -> Iterator[Path]:
    """Regular files below `root` that are neither hidden nor captions nor metadata; links to folders are not followed."""
    for folder, below, names in os.walk(root, followlinks=False):
        below[:] = sorted(name for name in below if not name.startswith("."))
        pictures = {Path(name).stem for name in names if not name.lower().endswith(SIDECAR)}
        for name in sorted(names):
            caption = name.lower().endswith(SIDECAR) and Path(name).stem in pictures
            path = Path(folder) / name
            if not (name.startswith(".") or caption or name in METADATA) and path.is_file():
                yield path


def _describe(path: Path, root: Path, source: Source, position: int, told: dict[Path, Row]) -> Row:
    beside = told.get(path, {})
    sidecar = path.with_suffix(SIDECAR)
    text = beside.get("caption")
    if text is None and sidecar.is_file():
        text = sidecar.read_text(encoding="utf-8", errors="replace").strip()
    own = source.class_ or ""
    rights = {name: beside.get(name) or getattr(source.rights, name) for name in RIGHTS}
    return {
        "origin": os.fsencode(path).decode("utf-8", "backslashreplace"),
        "source": position,
        **rights,
        "sidecar": text or None,
        "class": own.replace("{folder}", path.parent.name) or None,
        "trigger": source.trigger,
        "repeats": source.repeats,
    }


def _metadata(root: Path) -> Iterator[tuple[Path, Row]]:
    for name in METADATA:
        for path in sorted(root.rglob(name)):
            for number, row in enumerate(_rows(path), start=1):
                file_name = row.get("file_name") or row.get("image")
                if not isinstance(file_name, str) or not file_name:
                    raise InputError(
                        "every row needs a file_name",
                        field=f"{path}, row {number}",
                        value=file_name,
                        remedy="Name the picture relative to this file.",
                    )
                caption = row.get("text") if row.get("text") is not None else row.get("caption")
                yield path.parent / file_name, {**row, "caption": None if caption is None else str(caption).strip()}


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".csv":
            return list(csv.DictReader(text.splitlines(keepends=True)))
        found = [json.loads(line) for line in text.splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError, ValueError, csv.Error) as error:
        raise InputError(
            f"this metadata file cannot be read ({error})", field=str(path), remedy="Mend it or take it away."
        ) from error
    if not all(isinstance(row, dict) for row in found):
        raise InputError(
            "every line must be an object", field=str(path), remedy='Write {"file_name": ..., "text": ...}.'
        )
    return found
