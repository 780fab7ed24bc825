import io

import openpyxl
import pytest
from PIL import Image

from pipeline.errors import ReviewError
from pipeline.review import table, workbook
from pipeline.review.columns import COLUMNS, WORDS
from pipeline.review.rows import ReviewRow


def row(number=0, caption="a cat"):
    return ReviewRow(
        sample_id=f"{number:064x}", pixel_id=f"p{number}", origin=f"{number}.jpg", split="train", flags=(),
        proposed=caption, source="blip", caption=caption, decided=False,
    )  # fmt: skip


def jpeg(size):
    buffer = io.BytesIO()
    Image.new("RGB", size, "red").save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def book(tmp_path):
    path = tmp_path / "r.xlsx"
    rows = [row(0, "=1+1"), row(16**48, "1/2"), row(2 * 16**48, "_x0041_")]
    table.export(rows, path, thumbnails={rows[0].sample_id: jpeg((300, 200)), rows[2].sample_id: jpeg((40, 400))})
    return path


def changed(path, **cells):
    book = openpyxl.load_workbook(path)
    for name, value in cells.items():
        book["captions"][name] = value
    book.save(path)
    return path


def column(name):
    return openpyxl.utils.get_column_letter(list(COLUMNS).index(name) + 1)


def test_every_cell_is_text_and_none_a_formula(book):
    sheet = openpyxl.load_workbook(book)["captions"]
    cells = [cell for line in sheet.iter_rows() for cell in line if cell.value is not None]
    assert {cell.data_type for cell in cells} == {"s"}
    assert {cell.number_format for cell in cells} == {"@"}
    assert sheet[f"{column('caption')}2"].value == "'=1+1"
    assert sheet.freeze_panes == "C2"


def test_a_picture_lies_within_its_own_cell(book):
    sheet = openpyxl.load_workbook(book)["captions"]
    places = [(one.anchor._from, one.anchor.to, one.anchor.editAs) for one in sheet._images]
    assert [(start.row, start.col, end.row, end.col, kind) for start, end, kind in places] == [
        (1, 1, 1, 1, "twoCell"),
        (3, 1, 3, 1, "twoCell"),
    ]
    height = sheet.row_dimensions[2].height / 0.75
    assert all((end.rowOff / 9525) < height for _, end, _ in places)
    assert [one.ref for one in sheet._images]
    with Image.open(sheet._images[0].ref) as image:
        assert image.size == (150, 100)
    with Image.open(sheet._images[1].ref) as image:
        assert image.size == (15, 150)


def test_a_sheet_explains_the_columns_and_a_list_offers_the_decisions(book):
    opened = openpyxl.load_workbook(book)
    explained = {line[0]: line[1] for line in opened["columns"].iter_rows(values_only=True)}
    assert explained.items() >= COLUMNS.items()
    (offered,) = opened["captions"].data_validations.dataValidation
    assert offered.formula1 == f'"{",".join(WORDS)}"'
    assert str(offered.sqref) == f"{column('decision')}2:{column('decision')}4"


def test_the_sheet_with_the_columns_is_found(book):
    opened = openpyxl.load_workbook(book)
    opened.move_sheet("columns", -1)
    opened["captions"].title = "Tabelle1"
    opened["Tabelle1"].insert_rows(1)
    opened["Tabelle1"]["A1"] = "Captions of ours"
    opened.save(book)
    found = table.read(book)
    assert [one.caption for one in found.rows] == ["=1+1", "1/2", "_x0041_"]
    assert found.rows[0].line == 3
    assert found.how == "a workbook, sheet 'Tabelle1'"


@pytest.mark.parametrize(
    ("value", "kind"), [(45323, "number"), ("=A1", "formula"), (True, "truth value"), ("#NAME?", "error")]
)
def test_a_caption_that_is_no_text_is_refused(book, value, kind):
    changed(book, **{f"{column('caption')}3": value})
    with pytest.raises(ReviewError, match=f"row 3, column caption: holds a {kind}, not a text"):
        table.read(book)


def test_what_a_program_read_as_a_number_in_both_cells_was_typed_by_nobody(book):
    changed(book, **{f"{column('caption')}3": 7, f"{column('before')}3": 7})
    one = table.read(book).rows[1]
    assert (one.before, one.caption) == ("7", "7")


def test_a_number_in_a_column_of_ones_own_does_not_matter(book):
    changed(book, Z1="stars", Z2=5)
    assert len(table.read(book).rows) == 3


def test_a_workbook_of_another_kind(tmp_path):
    book = openpyxl.Workbook()
    book.active["A1"] = "shopping"
    book.save(tmp_path / "r.xlsx")
    with pytest.raises(ReviewError, match="column id: is missing"):
        table.read(tmp_path / "r.xlsx")


def test_a_cut_workbook(book):
    book.write_bytes(book.read_bytes()[:-200])
    with pytest.raises(ReviewError, match="no workbook that can be read"):
        workbook.read(book)
