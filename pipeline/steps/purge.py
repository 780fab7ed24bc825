"""Not a step of a run: removes all that is stored of some pictures from a workspace, file by file.

A row about a picture goes from every table, but for the ledger and the origins of past runs: there it stays as one that
was forgotten, under its hash, so that counts still add up. Decisions keep their place in their batch and say nothing
any more. Reports are removed, since pictures lie in them; `gesso report` writes them again.
"""

import html
import json
import os
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.manifest import Row, digest, read_table, table_of
from pipeline.workspace import Workspace, write_bytes, write_table

KEYS = ("sample_id", "pixel_id", "a", "b", "other_id")
"""Columns by which rows are about a picture."""
FOLDERS = ("tables", "cache", "runs", "trainsets", "trainings", "tunings")
REPORTS = ("*.html", "report.json", "thumbs/*")
TEXTS = (".json", ".jsonl", ".txt", ".md", ".yaml", ".csv")
GONE = "[forgotten]"
LEDGER_SAYS = {"state": "forgotten", "stage": "ingest", "reason": "forgotten"}
ORIGIN_SAYS = {"error": "forgotten: taken out for good"}


def purge(
    workspace: Workspace,
    *,
    samples: Collection[str],
    pixels: Collection[str],
    origins: Collection[str],
    captions: Collection[str],
    runs: Collection[str],
) -> int:
    """Remove what is stored of pictures, by sample ids, pixel ids, origins and captions that nobody else has.

    `runs` are those that listed them, whose reports go. Returns how many files were changed or removed.
    """
    ids, changed = pa.array(sorted({*samples, *pixels}), pa.string()), 0
    for sample_id in samples:
        changed += _unlink(workspace.original(sample_id))
    for folder in FOLDERS:
        for path in sorted((workspace.root / folder).rglob("*.parquet")):
            changed += _table(path, workspace, ids, samples, origins, captions)
    for run in sorted(runs):
        for path in [one for pattern in REPORTS for one in (workspace.runs / run).glob(pattern)]:
            changed += _unlink(path)
    for path in _texts(workspace):
        changed += _text(path, origins)
    for path in sorted(workspace.decisions.rglob("*")):
        changed += _decisions(path, workspace, {*samples, *pixels}, origins)
    for path in _asked(workspace):
        changed += _review(path, samples)
    return changed


def left(workspace: Workspace, samples: Collection[str]) -> list[Path]:
    """Workbooks for review in the workspace that still show pictures: edits of others may stand in them."""
    books = [path for path in _asked(workspace) if path.suffix == ".xlsx"]
    return [path for path in books if any(row in _said(path, path.read_bytes()) for row in _rows_of(samples))]


def _table(
    path: Path,
    workspace: Workspace,
    ids: pa.Array,
    samples: Collection[str],
    origins: Collection[str],
    captions: Collection[str],
) -> int:
    names = pq.read_schema(path).names
    keys = [name for name in KEYS if name in names]
    if workspace.root / "cache" / "texts" in path.parents:
        keys, ids = ["caption"], pa.array(sorted(captions), pa.string())
    if not keys:
        return 0
    about = [pc.is_in(column, ids) for column in map(_plain, read_table(path, columns=keys).columns)]
    marked = about[0]
    for one in about[1:]:
        marked = pc.or_(marked, one)
    hit, beside = bool(pc.any(marked).as_py()), "origins" in names
    if not hit and not beside:
        return 0
    table = read_table(path)
    if path.parent.parent == workspace.runs and path.stem in ("ledger", "origins"):
        rows = [_nameless(row, path.stem, ids_of=samples, origins=origins) for row in table.to_pylist()]
        write_table(path, table_of(rows, table.schema))
        return 1
    if hit and "told" in names:  # what an archive holds is remembered as a whole
        return _unlink(path)
    if "text" in names:  # captions and metadata beside pictures of a store: they are fetched again
        marked = pc.or_(marked, pc.is_valid(table["text"]))
    kept = table.filter(pc.invert(pc.fill_null(marked, False)))  # noqa: FBT003 (pyarrow's own)
    if beside:
        kept = _without_places(kept, origins)
    if kept.equals(table):
        return 0
    if not len(kept) and workspace.computed(path):
        return _unlink(path)
    write_table(path, kept)
    return 1


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column


def _nameless(row: Row, table: str, *, ids_of: Collection[str], origins: Collection[str]) -> Row:
    """A row of a past run's ledger or origins; that of a forgotten picture says its hash and that it was forgotten.

    So does that of its mask, also where other pictures have the same one.
    """
    mask_of = row["value"] if table == "ledger" and row["state"] == "mask" else row.get("mask_of")
    if row["sample_id"] not in ids_of and mask_of not in origins:
        return row
    said = LEDGER_SAYS if table == "ledger" else ORIGIN_SAYS | {"source": row["source"], "repeats": row["repeats"]}
    where = row["origin"] if row["origin"].startswith(f"{GONE} ") else _place(row)
    return {**dict.fromkeys(row), "origin": where, "sample_id": row["sample_id"], **said}


def _place(row: Row) -> str:
    """A name of its own for a place, which says nothing of it, and is the same in every table."""
    return f"{GONE} {row['sample_id'][:16]} {digest([row['sample_id'], row['origin']])[:8]}"


def _without_places(table: pa.Table, origins: Collection[str]) -> pa.Table:
    """The table without forgotten places among those of pictures that stay: twins keep none of a twin's names."""
    values = [value and [one for one in value if one not in origins] for value in table["origins"].to_pylist()]
    place = table.column_names.index("origins")
    return table.set_column(place, table.schema.field("origins"), pa.array(values, table.schema.field("origins").type))


def _texts(workspace: Workspace) -> Iterator[Path]:
    for folder in ("runs", "trainsets", "trainings", "tunings"):
        yield from sorted(path for path in (workspace.root / folder).rglob("*") if path.suffix in TEXTS)


def _text(path: Path, origins: Collection[str]) -> int:
    """Take the names of places out of a text; from a list of them (ATTRIBUTION.md) their whole lines."""
    text = path.read_text(encoding="utf-8", errors="surrogateescape")
    found = [one for one in sorted(origins, key=len, reverse=True) if one in text]
    if not found:
        return 0
    if path.name == "ATTRIBUTION.md":
        text = "".join(line for line in text.splitlines(keepends=True) if not any(one in line for one in found))
    for one in found:
        text = text.replace(one, GONE)
    write_bytes(path, text.encode("utf-8", "surrogateescape"))
    return 1


def _decisions(path: Path, workspace: Workspace, ids: Collection[str], origins: Collection[str]) -> int:
    """Empty the decisions about the pictures; a file that was applied and names them goes as a whole."""
    if not path.is_file():
        return 0
    data = path.read_bytes()
    if path.suffix != ".jsonl":
        said = _said(path, data)
        return _unlink(path) if any(os.fsencode(one) in said for one in (*ids, *origins)) else 0
    lines: list[bytes] = []
    for line in data.split(b"\n"):
        lines += [line] if not any(one.encode() in line for one in ids) else _emptied(line, path, workspace)
    if b"\n".join(lines) == data:
        return 0
    write_bytes(path, b"\n".join(lines))
    return 1


def _said(path: Path, data: bytes) -> bytes:
    """What an applied file says: its bytes, or of a workbook those of its sheets."""
    if not zipfile.is_zipfile(path):
        return data
    with zipfile.ZipFile(path) as book:
        return html.unescape(b"".join(book.read(name) for name in book.namelist()).decode("utf-8", "replace")).encode()


def _emptied(line: bytes, path: Path, workspace: Workspace) -> list[bytes]:
    """A journal's line without what it says, since a batch counts its lines; of drafts and conflicts nothing."""
    if path.parent != workspace.decisions:
        return []
    try:
        told = json.loads(line)
    except ValueError:
        return []
    kept = ("pixel_id", "reviewer", "at", "batch", "batch_size", "undo", "read")
    return [json.dumps({**dict.fromkeys(told), **{name: told[name] for name in kept if name in told}}).encode()]


def _asked(workspace: Workspace) -> list[Path]:
    """What was written for reviewers where `gesso review export` writes it if nobody says where."""
    files = [path for path in workspace.root.iterdir() if path.suffix in (".csv", ".tsv", ".html", ".xlsx")]
    return sorted([*files, *workspace.root.glob("*_thumbnails/*")])


def _rows_of(samples: Collection[str]) -> list[bytes]:
    """How pictures are called in files for reviewers, see `review.rows`."""
    return [f"s-{one[:16]}".encode() for one in samples]


def _review(path: Path, samples: Collection[str]) -> int:
    """Take pictures out of a file for reviewers: their rows of a text, a page as a whole, of thumbnails theirs."""
    named = _rows_of(samples)
    if path.parent.name.endswith("_thumbnails"):
        return _unlink(path) if path.stem.encode() in named else 0
    data = path.read_bytes()
    if path.suffix == ".xlsx" or not any(one in data for one in named):
        return 0
    if path.suffix == ".html":
        return _unlink(path)
    write_bytes(path, b"".join(record for record in _records(data) if not any(one in record for one in named)))
    return 1


def _records(data: bytes) -> Iterator[bytes]:
    """The records of a CSV or TSV as they stand: lines, or several of them between quotes."""
    lines, quotes = list[bytes](), 0
    for line in data.splitlines(keepends=True):
        lines.append(line)
        quotes += line.count(b'"')
        if quotes % 2 == 0:
            yield b"".join(lines)
            lines = []
    yield b"".join(lines)


def _unlink(path: Path) -> int:
    if not path.is_file() and not path.is_symlink():  # a reference may lead nowhere by now
        return 0
    path.unlink()
    return 1
