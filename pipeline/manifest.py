"""The tables that say which pictures there are: origins (a row a place) and samples (a row a content).

A *sample* is a content, named by the SHA-256 of its bytes (`sample_id`). An *origin* is a place that content came
from, with what stands beside it there: rights, captions, class, trigger. Tables are joined by `sample_id`, never by
the order of rows.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.arrow import leave_pandas_out
from pipeline.errors import DamagedError

leave_pandas_out()

Row = dict[str, Any]

RIGHTS = (
    "license",
    "license_url",
    "creator",
    "source_url",
    "retrieved_at",
    "attribution",
    "rights_basis",
    "ai_optout",
    "optout_source",
)
"""What is known of the rights in an origin, by column."""

ORIGINS = pa.schema(
    [
        ("origin", pa.string()),  # path or address, as shown to people
        ("source", pa.int32()),  # position in the recipe's list of sources
        ("sample_id", pa.string()),  # null where the file could not be read
        ("bytes", pa.int64()),
        ("license", pa.string()),  # SPDX id; null is unknown
        ("license_url", pa.string()),
        ("creator", pa.string()),
        ("source_url", pa.string()),
        ("retrieved_at", pa.string()),  # ISO 8601
        ("attribution", pa.string()),  # the line to print
        ("rights_basis", pa.string()),  # why it may be used: licence, consent, own work ...
        ("ai_optout", pa.bool_()),  # whether training was objected to; null is unknown
        ("optout_source", pa.string()),  # where the objection stands
        ("split", pa.string()),  # train, held_out or prior, where it was decided before; else null
        ("sidecar", pa.string()),  # the caption that stands beside the file
        ("class", pa.string()),
        ("trigger", pa.string()),
        ("repeats", pa.int32()),
        ("mask", pa.string()),  # sample_id of the mask that belongs to this picture
        ("mask_of", pa.string()),  # of a mask: the origin of its picture
        ("error", pa.string()),  # why the file could not be read: "reason: detail"
    ]
)
"""One row for each file that a source named, also for those that could not be read."""


def digest(value: object) -> str:
    """SHA-256 (hex) of a JSON value written canonically: sorted keys, no spaces, UTF-8.

    Raises:
        TypeError: the value holds what JSON does not know.
    """
    return hashlib.sha256(_CANONICAL(value).encode("utf-8", "surrogatepass")).hexdigest()


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def logical_digest(table: pa.Table, key: Sequence[str], *, leave_out: Sequence[str] = ()) -> str:
    """Digest of what a table says, whatever the order of its rows or columns; `leave_out` names columns like times."""
    names = sorted(set(table.column_names) - set(leave_out))
    ordered = table.select(names).sort_by([(name, "ascending") for name in key])
    hasher = hashlib.sha256(json.dumps(names).encode())
    for row in ordered.to_pylist():
        hasher.update(repr([row[name] for name in names]).encode("utf-8", "surrogatepass"))
    return hasher.hexdigest()


def by(rows: Sequence[Row], column: str) -> dict[Any, Row]:
    """The rows by the value of one column, which must be a key."""
    found = {row[column]: row for row in rows}
    if len(found) != len(rows):
        raise ValueError(f"{column} is not a key: {len(rows)} rows, {len(found)} values")
    return found


def join(left: pa.Table, right: pa.Table, key: str = "sample_id") -> pa.Table:
    """Add `right`'s columns to the rows of `left` by `key`, in `left`'s order; what is missing is null.

    A null key matches nothing, and a column that both have stays `left`'s.
    """
    places = pc.index_in(left[key], right[key].combine_chunks(), skip_nulls=True)
    for field in right.schema:
        if field.name not in left.column_names:
            left = left.append_column(field, right[field.name].take(places))
    return left


def table_of(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """A table of rows given as mappings; a missing name is null, an extra one an error."""
    names = frozenset(schema.names)
    for row in rows:
        if not row.keys() <= names:
            raise ValueError(f"columns that the schema does not have: {sorted(row.keys() - names)}")
    return pa.table([pa.array([row.get(field.name) for row in rows], field.type) for field in schema], schema=schema)


def read_table(*paths: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of Parquet files of one schema, one file after the other; all columns, or those named.

    File by file, since pyarrow's datasets, which `pyarrow.parquet.read_table` uses, import pandas: nearly a second.

    Raises:
        DamagedError: a file is damaged.
        KeyError: there is no such column.
    """
    return pa.concat_tables([_read(path, columns) for path in paths])


def _read(path: Path, columns: Sequence[str] | None) -> pa.Table:
    with sound(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
        # `read` passes over a column that there is not, `select` does not
        return file.read() if columns is None else file.read(list(columns)).select(list(columns))


@contextmanager
def sound(path: Path) -> Iterator[None]:
    """Within the block, what shows that a Parquet file is damaged is an error that names it and says what to do.

    Raises:
        DamagedError: it is cut off, or a page of it has not the checksum with which it was written.
    """
    try:
        yield
    except (pa.ArrowInvalid, OSError) as error:
        if getattr(error, "errno", None):  # the system's, not the reader's
            raise
        raise DamagedError(
            "this file is damaged",
            field=str(path),
            value=str(error).partition("\n")[0],
            remedy="Delete it, then run the same command again; what it held is computed anew.",
        ) from error
