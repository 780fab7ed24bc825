"""The review table as a file, CSV, TSV or XLSX by its name's ending: written, and read from what came back.

The columns are explained in `columns.py`. `before` is the caption that stood when the file was written and `caption`
begins as the same: whoever edits `caption` leaves the other behind. `base` is the version of both, so that one that a
program changed, and a row whose cells no longer belong together, are seen (see apply.py).
"""

import csv
import difflib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from pipeline import atomic
from pipeline.errors import ReviewError
from pipeline.review import columns, sheet, spreadsheet, versions
from pipeline.review import pictures as beside
from pipeline.review.columns import COLUMNS, NEEDED, known
from pipeline.review.problems import Problems
from pipeline.review.rows import ReviewRow
from pipeline.review.spreadsheet import CELL_LIMIT, Sheet
from pipeline.workspace import write_bytes

Word = Literal["", "accept", "keep", "drop", "unsure"]

SEPARATORS = {".csv": ",", ".tsv": "\t"}
FORMATS = (*SEPARATORS, ".xlsx", ".html")
CANDIDATES = 20
"""Most candidates that a cell shows."""


@dataclass(frozen=True, slots=True)
class EditedRow:
    """A row as it came back: `line` is its number in the spreadsheet (the header is 1), the texts are unescaped.

    `base` is the version that its reader was shown, "" where the cell held none; `lossy` whether letters that are not
    in Windows-1252 were lost on the way.
    """

    line: int
    id: str
    before: str
    caption: str
    decision: Word = ""
    note: str = ""
    reviewer: str = ""
    base: str = ""
    lossy: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of a file: the rows, how, which columns were not known or not there, and rows that stood twice."""

    rows: tuple[EditedRow, ...]
    how: str
    ignored: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    doubled: int = 0

    def words(self) -> str:
        """What was read, in a sentence or two."""
        told = [f"{len(self.rows)} rows of {self.how}"]
        told += [f"columns not known, ignored: {', '.join(self.ignored)}"] if self.ignored else []
        told += [f"columns not there: {', '.join(self.missing)}"] if self.missing else []
        told += [f"{self.doubled} rows that were there twice, alike, count once"] if self.doubled else []
        return "; ".join(told)


def export(
    rows: Sequence[ReviewRow],
    path: Path,
    *,
    thumbnails: Mapping[str, bytes] | None = None,
    reviewer: str = "",
    replace: bool = False,
) -> None:
    """Write rows for review, as text (UTF-8 with a byte order mark, CR LF, RFC 4180 quotes), a workbook or a page.

    `thumbnails` holds encoded pictures by sample_id (by default each row's own): in a workbook they lie in their cells,
    beside other files as JPEG in `<stem>_thumbnails/`; a text file's columns are explained in `<stem>_columns.txt`. A
    cell that a spreadsheet would run as a formula gets an apostrophe in front, which `read` takes away again.
    `reviewer` is who is asked. The file appears by rename, complete or not at all.

    Raises:
        ReviewError: the file is there already and `replace` is False, its ending is none of `FORMATS`, or a caption
            does not fit into a cell.
    """
    check_place(path, replace=replace)
    _check_lengths(rows)
    pictures = {row.sample_id: row.thumbnail for row in rows if row.thumbnail} if thumbnails is None else thumbnails
    kind = path.suffix.lower()
    if kind == ".html":
        sheet.write(rows, path, pictures=pictures, reviewer=reviewer)
        return
    if kind == ".xlsx":
        from pipeline.review import workbook  # openpyxl takes a tenth of a second to import

        placed = {place: pictures[row.sample_id] for place, row in enumerate(rows) if row.sample_id in pictures}
        with atomic.file(path) as part:
            workbook.write(part, [_cells(row, "", reviewer) for row in rows], placed)
        return
    beside.save(path, rows, pictures)
    table = [_cells(row, beside.place(path, row, pictures), reviewer) for row in rows]
    write_bytes(path.with_name(f"{path.stem}_columns.txt"), columns.explained().encode("utf-8-sig"))
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=SEPARATORS[kind]).writerows([list(COLUMNS), *table])
    write_bytes(path, buffer.getvalue().encode("utf-8-sig"))


def check_place(path: Path, *, replace: bool) -> None:
    """Make sure that a table can be written there.

    Raises:
        ReviewError: the file is there already and `replace` is False, or its ending is none of `FORMATS`.
    """
    if path.suffix.lower() not in FORMATS:
        raise ReviewError(
            "a review is written as CSV, TSV, XLSX or HTML, by the file's ending",
            field=str(path),
            value=path.suffix,
            remedy=f"Name a file that ends in {', '.join(FORMATS)}.",
        )
    if path.exists() and not replace:
        raise ReviewError(
            "the file is there already, and someone may have worked in it",
            field=str(path),
            remedy="Apply it, move it away or choose another name; with replace it is lost.",
        )


def read(path: Path) -> Reading:
    """Read a reviewed file, in the format, the encoding and with the separators that a program chose.

    CSV and TSV in UTF-8 (with a byte order mark or not), UTF-16 and Windows-1252, with commas, semicolons or tabs, and
    XLSX; columns in any order, among others and in any case; rows in any order, some of them gone.

    Raises:
        ReviewError: the file cannot be read, a needed column is missing, a decision is an unknown word, a cell holds
            no text, or an id occurs twice with different content. All such cells are named, up to 20 in full.
    """
    opened = _sheet(path)
    place = max(
        range(min(len(opened.rows), spreadsheet.LOOKED_AT)),
        key=lambda at: len({known(name) for name in opened.rows[at][1]} & set(COLUMNS)),
        default=0,
    )
    number, titles = opened.rows[place] if opened.rows else (1, [])
    header = [known(name) for name in titles]
    problems = Problems(str(path))
    _check_header(header, number, problems)
    problems.raise_if_any()
    below = opened.rows[place + 1 :]
    rows = [_row(number, header, cells, problems) for number, cells in below if any(map(str.strip, cells))]
    unique = _without_doubles(rows, problems)
    problems.raise_if_any()
    return Reading(
        rows=tuple(unique),
        how=opened.how,
        ignored=tuple(title.strip() for title in titles if known(title) and known(title) not in COLUMNS),
        missing=tuple(name for name in ("note", "reviewer") if name not in header),
        doubled=len(rows) - len(unique),
    )


def _sheet(path: Path) -> Sheet:
    try:
        with path.open("rb") as file:
            zipped = file.read(4) == b"PK\x03\x04"
    except OSError as error:
        raise ReviewError(
            f"the file cannot be read: {error.strerror}", field=str(path), remedy="Check the path."
        ) from error
    if not zipped:
        return spreadsheet.read(path, columns=tuple(COLUMNS))
    from pipeline.review import workbook  # as above

    return workbook.read(path)


def _check_lengths(rows: Iterable[ReviewRow]) -> None:
    for row in rows:
        if len(row.caption) + 1 >= CELL_LIMIT:
            raise ReviewError(
                f"a caption of {len(row.caption):,} characters does not fit into a spreadsheet's cell",
                field=f"{row.origin}: {row.source} caption",
                remedy=f"Shorten it to below {CELL_LIMIT:,}.",
            )


def _cells(row: ReviewRow, picture: str, reviewer: str) -> list[str]:
    """A row as it is written; `picture` is where its picture lies, "" if not in a file."""
    texts = {
        "id": row.id,
        "picture": picture,
        # a file's name may hold bytes that are no text; they are only shown
        "file": row.origin.encode("utf-8", "backslashreplace").decode(),
        "machine_caption": row.proposed[: CELL_LIMIT // 2],
        "candidates": "\n".join(row.candidates[:CANDIDATES])[: CELL_LIMIT // 2],
        "scores": "" if row.fit is None else f"fit {row.fit:.1f}",
        "flags": "; ".join(row.flags),
        "caption": row.caption,
        "decision": "",
        "note": row.note[: CELL_LIMIT // 2],
        "reviewer": reviewer,
        "before": row.caption,
        "base": versions.written(row.version),
    }
    return [spreadsheet.escaped(spreadsheet.shown(texts[name])) for name in COLUMNS]


def _check_header(header: Sequence[str], line: int, problems: Problems) -> None:
    for name in COLUMNS:
        if header.count(name) == 1 or (name not in NEEDED and name not in header):
            continue
        near = difflib.get_close_matches(name, [other for other in header if other not in COLUMNS], n=1)
        problems.add(
            "is there twice" if name in header else "is missing",
            cell=f"row {line}, column {name}",
            value=", ".join(filter(None, header)) or None,
            remedy=(f"Is it the one called {near[0]!r}? " if near else "")
            + f"A review table has the columns {', '.join(COLUMNS)}; export it again if they are lost.",
        )


def _row(line: int, header: Sequence[str], cells: Sequence[str], problems: Problems) -> EditedRow:
    if any(cell.strip() for cell in cells[len(header) :]):
        problems.add(
            "has more cells than the header",
            cell=f"row {line}",
            value=next(cell for cell in cells[len(header) :] if cell.strip()),
            remedy="Put a text that holds the separator into quotes, or save the file from a spreadsheet.",
        )
    got = {}
    for name, cell in zip(header, cells, strict=False):
        got[name] = spreadsheet.unescaped(cell)
    # what a program read as a number in both cells alike was not typed by a person; intent.py says what it was
    alike = got.get("caption") == got.get("before")
    for name, cell in got.items():
        if not cell.startswith(spreadsheet.NO_TEXT) or name not in (*NEEDED, "note", "reviewer"):
            continue
        kind, _, value = cell[1:].partition(": ")
        got[name] = value
        if name not in ("before", "caption") or (name == "caption" and not alike):
            problems.add(
                f"holds a {kind}, not a text",
                cell=f"row {line}, column {name}",
                value=value,
                remedy="Type an apostrophe before it, or format the cell as text.",
            )
    base = versions.read(got.get("base", ""))
    return EditedRow(
        line=line,
        id=got.get("id", "").strip().casefold(),
        before=got.get("before", ""),
        caption=got.get("caption", ""),
        decision=_word(got.get("decision", ""), line, problems),
        note=got.get("note", "").strip(),
        reviewer=got.get("reviewer", "").strip(),
        base=base[0] if base else "",
        lossy=base is None or base[1] != versions.CANARY,
    )


def _word(cell: str, line: int, problems: Problems) -> Word:
    word = cell.strip().casefold()
    words: tuple[Word, ...] = get_args(Word)
    for one in words:
        if one == word:
            return one
    near = difflib.get_close_matches(word, columns.WORDS, n=1, cutoff=0.5)
    problems.add(
        "unknown word",
        cell=f"row {line}, column decision",
        value=cell,
        remedy=(f"Did you mean {near[0]}? " if near else "") + f"Write {', '.join(columns.WORDS)}, or leave it blank.",
    )
    return ""


def _without_doubles(rows: Iterable[EditedRow], problems: Problems) -> list[EditedRow]:
    first: dict[str, EditedRow] = {}
    for row in rows:
        earlier = first.setdefault(row.id or str(row.line), row)
        if replace(earlier, line=row.line) != row:
            problems.add(
                f"is there already in row {earlier.line}, with other content",
                cell=f"row {row.line}, column id",
                value=row.id,
                remedy="Delete one of the two.",
            )
    return list(first.values())
