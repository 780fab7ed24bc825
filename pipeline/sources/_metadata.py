"""What `metadata.csv`, `.jsonl` and `.parquet` say of pictures, in the imagefolder convention of Hugging Face.

A row names its picture in `file_name`, relative to the metadata file, and may have a caption in `text` or `caption`
and rights in the columns `RIGHTS`. What `gesso export` wrote has more in columns whose names begin with `gesso_`: the
caption's body, what it is composed of, the split, and the rights of further places. Other columns are left alone.
"""

import csv
import io
import json
import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import InputError
from pipeline.manifest import RIGHTS

FILES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
CAPTION = ("gesso_body", "text", "caption")
SUBJECT = {"gesso_class": "class", "gesso_trigger": "trigger", "gesso_repeats": "repeats", "gesso_split": "split"}
"""Columns that say what the recipe's source says of other pictures, and that column of `manifest.ORIGINS`."""
NAMES = ("file_name", *CAPTION, *RIGHTS, "license_spdx", "url", *SUBJECT, "gesso_also")
SPLITS = ("train", "held_out", "prior")
MOST_REPEATS = 1000
NO = ("false", "no", "0")
"""Words that say of `ai_optout` that there is none; whatever else stands there is one."""


@dataclass(frozen=True)
class Told:
    """What one row says; empty cells say nothing."""

    where: str
    """The metadata file and the row's line."""
    caption: str | None = None
    """Empty where it is told that there is none, whatever stands beside the picture."""
    rights: Mapping[str, Any] = field(default_factory=dict)
    subject: Mapping[str, Any] = field(default_factory=dict)
    """Class, trigger, repeats and split, as columns of `manifest.ORIGINS`."""
    also: tuple[Mapping[str, Any], ...] = ()
    """The rights of further places that the picture came from."""


@dataclass(frozen=True)
class Raw:
    """A row as it stands, and where."""

    row: Mapping[str, Any]
    where: str


def read(paths: Iterable[Path]) -> dict[Path, Told]:
    """What is told of each picture, by its path, whether or not there is such a file.

    Raises:
        InputError: a file cannot be understood, or two rows say different things of one picture.
    """
    found: dict[Path, Told] = {}
    for path in paths:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise _unreadable(path, error) from error
        for picture, raw in raws(data, path):
            told = of_row(raw.row, raw.where)
            before = found.setdefault(picture, told)
            if replace(before, where=raw.where) != told:
                raise InputError(
                    f"two rows say different things of one picture, this one and {before.where}",
                    field=raw.where,
                    value=str(raw.row["file_name"]).strip(),
                    remedy="Keep one of them.",
                )
    return found


def matched(told: dict[Path, Told], paths: Sequence[str]) -> dict[str, Told]:
    """What is told of each of the files that are there; it is taken out of `told`, which keeps those that are not.

    Names are taken as people write them: from the root, with backslashes, or in another form of Unicode (macOS's).
    """
    if not told:
        return {}
    found = {path: told.pop(named) for path in paths if (named := Path(os.path.normpath(path))) in told}
    written = {_plain(str(path)): path for path in told}
    for path in paths if written else ():
        if path not in found and (plain := _plain(path)) in written:
            found[path] = told.pop(written.pop(plain))
    return found


def _plain(path: str) -> str:
    return unicodedata.normalize("NFC", os.path.normpath(Path.cwd() / path.replace("\\", "/")))


def raws(data: bytes, path: Path) -> Iterator[tuple[Path, Raw]]:
    """The rows of a metadata file by the paths of their pictures; `path` is where the file lies.

    Raises:
        InputError: it cannot be understood.
    """
    for line, row in _lines(data, path):
        where = f"{path}, line {line}"
        name = _text(row.get("file_name"), f"{where}, file_name")
        if not name:
            raise InputError("every row needs a file_name", field=where, remedy="Name the picture, or mend the line.")
        yield Path(os.path.normpath(path.parent / name)), Raw(row, where)


def of_row(row: Mapping[str, Any], where: str) -> Told:
    """What a row says; `where` is named in errors.

    Raises:
        InputError: a cell cannot be understood.
    """
    texts = {name: _text(row.get(name), f"{where}, {name}") for name in NAMES}
    texts["license"] = texts["license"] or texts["license_spdx"]
    texts["source_url"] = texts["source_url"] or texts["url"]
    rights: dict[str, Any] = {name: text for name in RIGHTS if (text := texts[name])}
    if "ai_optout" in rights:
        rights["ai_optout"] = rights["ai_optout"].lower() not in NO
    # an export says all four of each picture, also that there is no trigger
    exported = texts["gesso_split"] is not None
    subject: dict[str, Any] = {name: texts[column] for column, name in SUBJECT.items() if exported or texts[column]}
    if subject.get("repeats") is None:
        subject.pop("repeats", None)
    else:
        subject["repeats"] = _whole(subject["repeats"], f"{where}, gesso_repeats")
    if subject.get("split", "train") not in SPLITS:
        raise InputError(
            "there is no such split", field=f"{where}, gesso_split", value=subject["split"], remedy=_one_of(SPLITS)
        )
    body_told = row.get("gesso_body") is not None  # also where it is empty: the text was composed without it
    return Told(
        where,
        caption=(texts["gesso_body"] or "") if body_told else texts["text"] or texts["caption"],
        rights=rights,
        subject=subject,
        also=_also(texts["gesso_also"], f"{where}, gesso_also"),
    )


def _whole(text: str, field: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_REPEATS:
        raise InputError("this must be a whole number", field=field, value=text, remedy=f"1 to {MOST_REPEATS}.")
    return int(text)


def _one_of(words: Iterable[str]) -> str:
    return f"One of {', '.join(words)}."


def _also(text: str | None, field: str) -> tuple[Mapping[str, Any], ...]:
    try:
        found = json.loads(text) if text else []
        return tuple({name: one[name] for name in RIGHTS if one.get(name) is not None} for one in found)
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(
            f"this must be a JSON list of rights ({error})", field=field, value=text, remedy="Mend it or leave it out."
        ) from error


def _text(value: object, field: str) -> str | None:
    if isinstance(value, bool) or (isinstance(value, int) and field.endswith("repeats")):
        value = str(value).lower()
    if value is not None and not isinstance(value, str):
        raise InputError("this must be text", field=field, value=value, remedy="Write one text in quotes.")
    return (value or "").strip() or None


def _lines(data: bytes, path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        if path.suffix == ".parquet":
            yield from enumerate(pq.ParquetFile(io.BytesIO(data)).read().to_pylist(), start=1)
        else:
            yield from (_csv if path.suffix == ".csv" else _jsonl)(data.decode("utf-8-sig"), path)
    except (ValueError, csv.Error, pa.ArrowException) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(
        f"this metadata file cannot be read ({error})", field=str(path), remedy="Mend it or take it away."
    )


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
