"""What `metadata.csv` and `metadata.jsonl` say of pictures, in the imagefolder convention of Hugging Face's `datasets`.

A row names its picture in `file_name`, relative to the metadata file, and may have a caption in `text` or `caption`
and rights in `license`, `license_url`, `creator`, `source_url`, `attribution`. Other columns are left alone.
"""

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import InputError

FILES = ("metadata.csv", "metadata.jsonl")
RIGHTS = ("license", "license_url", "creator", "source_url", "attribution")
CAPTION = ("text", "caption")


@dataclass(frozen=True)
class Told:
    """What one row says; empty cells say nothing."""

    where: str
    """The metadata file and the row's line."""
    caption: str | None
    rights: Mapping[str, str]


def read(paths: Iterable[Path]) -> dict[Path, Told]:
    """What is told of each picture, by its path, whether or not there is such a file.

    Raises:
        InputError: a file cannot be understood, or two rows say different things of one picture.
    """
    found: dict[Path, Told] = {}
    for path in paths:
        for line, row in _lines(path):
            where = f"{path}, line {line}"
            texts = {name: _text(row.get(name), f"{where}, {name}") for name in ("file_name", *CAPTION, *RIGHTS)}
            if not texts["file_name"]:
                raise InputError(
                    "every row needs a file_name", field=where, remedy="Name the picture, or mend the line."
                )
            rights = {name: text for name in RIGHTS if (text := texts[name])}
            told = Told(where, texts["text"] or texts["caption"], rights)
            picture = Path(os.path.normpath(path.parent / texts["file_name"]))
            before = found.setdefault(picture, told)
            if (before.caption, before.rights) != (told.caption, told.rights):
                raise InputError(
                    f"two rows say different things of one picture, this one and {before.where}",
                    field=where,
                    value=texts["file_name"],
                    remedy="Keep one of them.",
                )
    return found


def _text(value: object, field: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise InputError("this must be text", field=field, value=value, remedy="Write one text in quotes.")
    return (value or "").strip() or None


def _lines(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        yield from (_csv if path.suffix == ".csv" else _jsonl)(text, path)
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(
            f"this metadata file cannot be read ({error})", field=str(path), remedy="Mend it or take it away."
        ) from error


def _csv(text: str, path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    columns = reader.fieldnames or []
    if columns and "file_name" not in columns:
        raise InputError(
            "there is no column file_name",
            field=str(path),
            value=",".join(columns),
            remedy="Name the columns in the first line, separated by commas.",
        )
    for row in reader:
        if None in row:
            raise InputError(
                f"this row has more cells than the {len(columns)} columns",
                field=f"{path}, line {reader.line_num}",
                value=row[None][0],
                remedy='Put a text that has commas in "quotes".',
            )
        yield reader.line_num, row


def _jsonl(text: str, path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
        if not isinstance(row, dict):
            raise InputError(
                "every line must be an object",
                field=f"{path}, line {number}",
                value=line[:80],
                remedy='Write {"file_name": ..., "text": ...}.',
            )
        yield number, row
