"""The review table as an XLSX workbook: text in every cell, a picture in its own, a sheet that explains the columns."""

import io
import re
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from openpyxl import Workbook, load_workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.drawing.image import Image as Drawing
from openpyxl.drawing.spreadsheet_drawing import AnchorMarker, TwoCellAnchor
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.worksheet.datavalidation import DataValidation
from PIL import Image

from pipeline.errors import ReviewError
from pipeline.review.columns import COLUMNS, HINTS, WORDS, known
from pipeline.review.spreadsheet import LOOKED_AT, NO_TEXT, Sheet

SIDE = 150
"""Longest side of a picture in a cell, in pixels."""
WIDTHS = {
    "id": 9, "picture": 23, "file": 18, "machine_caption": 34, "candidates": 34, "scores": 9, "flags": 16,
    "caption": 48, "decision": 11, "note": 20, "reviewer": 12, "before": 20, "base": 10,
}  # fmt: skip
"""Of each column, in characters."""
FILLED_IN = ("caption", "decision", "note")
_POINTS_A_PIXEL = 0.75
_EMU_A_PIXEL = 9525
_LOOKS_ESCAPED = re.compile("_(?=x[0-9A-Fa-f]{4}_)")


def write(path: Path, rows: Sequence[Sequence[str]], pictures: Mapping[int, bytes]) -> None:
    """Write the header and `rows` (the cells of `COLUMNS`, in order); `pictures` holds encoded ones by row, from 0."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet("captions")
    sheet.freeze_panes = "C2"
    sheet.auto_filter.ref = f"A1:{get_column_letter(len(COLUMNS))}{len(rows) + 1}"
    for place, name in enumerate(COLUMNS, start=1):
        sheet.column_dimensions[get_column_letter(place)].width = WIDTHS[name]
    words = DataValidation("list", formula1=f'"{",".join(WORDS)}"', allow_blank=True, showErrorMessage=True)
    words.error = f"Write {', '.join(WORDS)}, or leave it blank."
    column = get_column_letter(list(COLUMNS).index("decision") + 1)
    if rows:
        words.add(f"{column}2:{column}{len(rows) + 1}")
        sheet.data_validations.append(words)
    sheet.append([_cell(sheet, name, bold=True, filled_in=name in FILLED_IN) for name in COLUMNS])
    for place, cells in enumerate(rows, start=1):
        if place - 1 in pictures:
            sheet.row_dimensions[place + 1].height = (SIDE + 6) * _POINTS_A_PIXEL
            sheet.add_image(_drawing(pictures[place - 1], place))
        named = zip(COLUMNS, cells, strict=True)
        sheet.append([_cell(sheet, text, filled_in=name in FILLED_IN) for name, text in named])
    about = book.create_sheet("columns")
    about.column_dimensions["A"].width, about.column_dimensions["B"].width = 20, 110
    for name, text in [*COLUMNS.items(), *(("", hint) for hint in HINTS)]:
        about.append([_cell(about, name, bold=True), _cell(about, text)])
    book.save(path)


def read(path: Path) -> Sheet:
    """The rows of the sheet that has the most columns of a review table in one of its first rows.

    Raises:
        ReviewError: it cannot be read, or a cell of a known column holds no text.
    """
    try:
        book = load_workbook(path, read_only=True, data_only=False, rich_text=False)
    except (InvalidFileException, zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise ReviewError(
            "this is no workbook that can be read",
            field=str(path),
            value=str(error) or type(error).__name__,
            remedy="Save it from the spreadsheet as XLSX, or as CSV UTF-8.",
        ) from error
    with closing(book):
        sheets = [_cells(sheet) for sheet in book.worksheets]
    name, rows = max(sheets, key=lambda sheet: max((_fits(cells) for _, cells in sheet[1][:LOOKED_AT]), default=0))
    return Sheet(rows, f"a workbook, sheet {name!r}")


def _fits(cells: Sequence[str]) -> int:
    return len({known(cell) for cell in cells} & set(COLUMNS))


def _cells(sheet: Any) -> tuple[str, list[tuple[int, list[str]]]]:  # noqa: ANN401 - openpyxl has no types
    sheet.reset_dimensions()  # programs write wrong ones
    rows = enumerate(sheet.iter_rows(), start=1)
    return sheet.title, [(number, [_text(cell) for cell in row]) for number, row in rows]


def _text(cell: Any) -> str:  # noqa: ANN401
    """A cell's text. What is none (a number, a date, a formula) is marked, so that it is never taken for one."""
    if cell.value is None:
        return ""
    if isinstance(cell.value, str) and cell.data_type not in ("f", "e"):
        return cell.value.replace("_x000D_", "\r").replace("_x005F_", "_")
    kind = {"n": "number", "d": "date", "b": "truth value", "f": "formula", "e": "error"}.get(cell.data_type, "value")
    return f"{NO_TEXT}{kind}: {cell.value}"


def _cell(sheet: Any, text: str, *, bold: bool = False, filled_in: bool = False) -> Any:  # noqa: ANN401
    # programs read _x0041_ as the letter A: its first character is escaped, so that it is read as it was
    cell = WriteOnlyCell(sheet, _LOOKS_ESCAPED.sub("_x005F_", text))
    cell.data_type = "s"  # never a formula, whatever it begins with
    cell.number_format = "@"
    cell.alignment = Alignment(wrap_text=True, vertical="top")
    if bold:
        cell.font = Font(bold=True)
    if filled_in:
        cell.fill = PatternFill("solid", start_color="FFF6DD")
    return cell


def _drawing(picture: bytes, row: int) -> Drawing:
    """A picture that lies within its cell, and so is sorted and filtered with it."""
    with Image.open(io.BytesIO(picture)) as opened:
        image = opened.convert("RGB")
    image.thumbnail((SIDE, SIDE))
    data = io.BytesIO()
    image.save(data, "JPEG", quality=80)
    drawing = Drawing(data)
    column, pad = list(COLUMNS).index("picture"), 3 * _EMU_A_PIXEL
    start = AnchorMarker(col=column, row=row, colOff=pad, rowOff=pad)
    width, height = (pad + side * _EMU_A_PIXEL for side in image.size)
    drawing.anchor = TwoCellAnchor("twoCell", _from=start, to=AnchorMarker(column, width, row, height))
    return drawing
