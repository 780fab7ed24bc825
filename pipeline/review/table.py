"""The review table as CSV: written so that spreadsheets open it well, read from whatever they give back.

Columns: sample_id, picture (a thumbnail's path beside the file), origin, flags, source, proposed, caption, decision.
`proposed` is the caption that stood when the file was written and `caption` begins as the same: whoever edits
`caption` leaves both behind, so a later change of the first by someone else is seen (see apply.py); and what a
spreadsheet does to both alike ("1/2" becomes a date, "Ł" a question mark) is no edit.
"""

import csv
import difflib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from PIL import Image

from pipeline.errors import ReviewError
from pipeline.review import spreadsheet
from pipeline.review.problems import Problems
from pipeline.review.rows import ReviewRow
from pipeline.workspace import write_bytes

Word = Literal["", "accept", "keep", "drop"]

COLUMNS = ("sample_id", "picture", "origin", "flags", "source", "proposed", "caption", "decision")
NEEDED = ("sample_id", "proposed", "caption", "decision")
# Excel's own limit of characters in a cell; it spreads longer ones over the rows below
CELL_LIMIT = 32_767


@dataclass(frozen=True, slots=True)
class EditedRow:
    """A row as it came back: `line` is its number in the spreadsheet (the header is 1), the texts are unescaped."""

    line: int
    sample_id: str
    proposed: str
    caption: str
    decision: Word


def export_csv(
    rows: Sequence[ReviewRow],
    path: Path,
    *,
    thumbnails: Mapping[str, bytes] | None = None,
    replace: bool = False,
) -> None:
    """Write rows for review: UTF-8 with a byte order mark, commas, CR LF, RFC 4180 quotes, a header.

    `thumbnails` holds encoded pictures by sample_id (by default each row's own); they are saved as JPEG in
    `<stem>_thumbnails/` beside the file. A cell that a spreadsheet would run as a formula gets an apostrophe in front,
    which `read_csv` takes away again. The file appears by rename, complete or not at all.

    Raises:
        ReviewError: the file is there already and `replace` is False, or a caption does not fit into a cell.
    """
    if path.exists() and not replace:
        raise ReviewError(
            "the file is there already, and someone may have worked in it",
            field=str(path),
            remedy="Apply it, move it away or choose another name; with replace it is lost.",
        )
    pictures = {row.sample_id: row.thumbnail for row in rows if row.thumbnail} if thumbnails is None else thumbnails
    folder = path.with_name(f"{path.stem}_thumbnails")
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    for row in rows:
        _check_length(row)
        picture = f"{folder.name}/{row.sample_id}.jpg" if row.sample_id in pictures else ""
        cells = (row.sample_id, picture, row.origin, "; ".join(row.flags), row.source, row.caption, row.caption, "")
        writer.writerow([spreadsheet.escaped(cell) for cell in cells])
    path.parent.mkdir(parents=True, exist_ok=True)
    for row in rows:
        if row.sample_id in pictures:
            folder.mkdir(exist_ok=True)
            _save_jpeg(pictures[row.sample_id], folder / f"{row.sample_id}.jpg")
    # a file's name may hold bytes that are no text; they are only shown
    write_bytes(path, buffer.getvalue().encode("utf-8-sig", errors="backslashreplace"))


def read_csv(path: Path) -> list[EditedRow]:
    """Read a reviewed file, in the encoding and with the separators that a spreadsheet chose.

    UTF-8 (with a byte order mark or not), UTF-16 and Windows-1252; commas, semicolons or tabs; columns in any order
    and among others; rows in any order, some of them gone.

    Raises:
        ReviewError: the file cannot be read, a needed column is missing, a decision is an unknown word, or a
            sample_id occurs twice with different content. All such cells are named, up to 20 in full.
    """
    records = spreadsheet.records(path, columns=COLUMNS)
    header = [name.strip().casefold() for name in records[0][1]] if records else []
    problems = Problems(str(path))
    for name in NEEDED:
        if header.count(name) != 1:
            problems.add(
                "is missing" if name not in header else "is there twice",
                cell=f"row 1, column {name}",
                value=", ".join(filter(None, header)) or None,
                remedy=f"A review table has the columns {', '.join(COLUMNS)}; export it again if they are lost.",
            )
    problems.raise_if_any()
    rows = [_row(number, header, cells, problems) for number, cells in records[1:] if any(map(str.strip, cells))]
    unique = _without_doubles(rows, problems)
    problems.raise_if_any()
    return unique


def _check_length(row: ReviewRow) -> None:
    if len(row.caption) >= CELL_LIMIT:
        raise ReviewError(
            f"a caption of {len(row.caption):,} characters does not fit into a spreadsheet's cell",
            field=f"{row.origin}: {row.source} caption",
            remedy=f"Shorten it to below {CELL_LIMIT:,}.",
        )


def _save_jpeg(picture: bytes, path: Path) -> None:
    with Image.open(io.BytesIO(picture)) as image:
        image.convert("RGB").save(path, "JPEG", quality=85)


def _row(line: int, header: Sequence[str], cells: Sequence[str], problems: Problems) -> EditedRow:
    if any(cell.strip() for cell in cells[len(header) :]):
        problems.add(
            "has more cells than the header",
            cell=f"row {line}",
            value=next(cell for cell in cells[len(header) :] if cell.strip()),
            remedy="Put a text that holds the separator into quotes, or save the file from a spreadsheet.",
        )
    got = dict(zip(header, [spreadsheet.unescaped(cell) for cell in cells], strict=False))
    word = got.get("decision", "").strip().casefold()
    if word not in get_args(Word):
        near = difflib.get_close_matches(word, get_args(Word), n=1, cutoff=0.5)
        problems.add(
            "unknown word",
            cell=f"row {line}, column decision",
            value=got["decision"],
            remedy=(f"Did you mean {near[0]}? " if near else "") + "Write accept, keep, drop, or leave it blank.",
        )
        word = ""
    return EditedRow(
        line=line,
        sample_id=got.get("sample_id", "").strip().casefold(),
        proposed=got.get("proposed", ""),
        caption=got.get("caption", ""),
        decision=next(known for known in get_args(Word) if known == word),
    )


def _without_doubles(rows: Iterable[EditedRow], problems: Problems) -> list[EditedRow]:
    first: dict[str, EditedRow] = {}
    for row in rows:
        earlier = first.setdefault(row.sample_id, row)
        if replace(earlier, line=row.line) != row:
            problems.add(
                f"is there already in row {earlier.line}, with other content",
                cell=f"row {row.line}, column sample_id",
                value=row.sample_id,
                remedy="Delete one of the two.",
            )
    return list(first.values())
