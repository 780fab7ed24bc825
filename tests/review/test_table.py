import csv
import io
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.errors import ReviewError
from pipeline.review.rows import ReviewRow
from pipeline.review.table import COLUMNS, EditedRow, export_csv, read_csv


def row(number=0, **said):
    defaults = {
        "sample_id": f"{number:064x}",
        "pixel_id": f"p{number}",
        "origin": f"cats/{number}.jpg",
        "split": "train",
        "flags": ("very short", "names nothing"),
        "proposed": "a cat",
        "source": "sidecar",
        "caption": "a cat",
        "decided": False,
    }
    return ReviewRow(**defaults | said)


def png(color="red", mode="RGB"):
    buffer = io.BytesIO()
    Image.new(mode, (8, 8), color).save(buffer, "PNG")
    return buffer.getvalue()


def cells(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


def save(path, table, *, delimiter=",", encoding="utf-8", ending="\r\n", head=""):
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=delimiter, lineterminator=ending).writerows(table)
    path.write_bytes((head + buffer.getvalue()).encode(encoding))
    return path


HEADER = ["sample_id", "proposed", "caption", "decision"]
# what tends to break: quotes, separators, ends of lines, formulas, apostrophes, other scripts
nasty = st.text(
    st.one_of(st.sampled_from("'=+-@\t\r\n\",; \0\uff1d\ufeff\u2028"), st.characters(exclude_categories=["Cs"]))
)


@given(st.lists(st.tuples(nasty, nasty, nasty), max_size=5))
def test_export_and_import_are_identity(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("review") / "r.csv"
    rows = [row(n, caption=c, origin=o, source=s) for n, (c, o, s) in enumerate(texts)]
    export_csv(rows, path)
    expected = [EditedRow(n + 2, r.sample_id, r.caption, r.caption, "") for n, r in enumerate(rows)]
    assert read_csv(path) == expected


@given(st.lists(nasty, min_size=1, max_size=5))
def test_no_cell_begins_like_a_formula(tmp_path_factory, captions):
    path = tmp_path_factory.mktemp("review") / "r.csv"
    export_csv([row(n, caption=c, origin=c, source=c, flags=(c,)) for n, c in enumerate(captions)], path)
    assert not [cell for line in cells(path) for cell in line if cell[:1] in set("=+-@\t\r\n\uff1d")]


def test_the_bytes_that_excel_wants(tmp_path):
    export_csv([row(caption='the "red" cat, asleep'), row(1, caption="=1+1")], tmp_path / "r.csv")
    data = (tmp_path / "r.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbfsample_id,picture,origin,flags,source,proposed,caption,decision\r\n")
    assert b'"the ""red"" cat, asleep"' in data
    assert b",'=1+1," in data
    assert data.count(b"\r\n") == data.count(b"\n") == 3


def test_thumbnails_lie_beside_the_file(tmp_path):
    export_csv([row(0, thumbnail=png()), row(1)], tmp_path / "r.csv")
    first, second = (dict(zip(COLUMNS, line, strict=True)) for line in cells(tmp_path / "r.csv")[1:])
    assert second["picture"] == ""
    with Image.open(tmp_path / first["picture"]) as image:
        assert image.format == "JPEG"
        red, green, blue = image.getpixel((4, 4))
        assert red > 240
        assert green + blue < 20
    export_csv([row(0, thumbnail=png()), row(1)], tmp_path / "q.csv", thumbnails={row(1).sample_id: png(9, "P")})
    assert [p.stem for p in (tmp_path / "q_thumbnails").iterdir()] == [row(1).sample_id]


def test_never_writes_over_someones_work(tmp_path):
    path = tmp_path / "deep" / "r.csv"
    export_csv([row()], path)
    path.write_text("work")
    with pytest.raises(ReviewError, match="someone may have worked in it"):
        export_csv([row()], path)
    assert path.read_text() == "work"
    export_csv([row()], path, replace=True)
    assert len(read_csv(path)) == 1
    assert [p.name for p in path.parent.iterdir()] == ["r.csv"]


def test_a_caption_that_no_cell_holds(tmp_path):
    with pytest.raises(ReviewError, match="32,767"):
        export_csv([row(caption="x" * 32_767)], tmp_path / "r.csv")
    assert not list(tmp_path.iterdir())


def test_a_file_name_that_is_no_text(tmp_path):
    export_csv([row(origin="caf\udce9.jpg")], tmp_path / "r.csv")
    assert cells(tmp_path / "r.csv")[1][2] == "caf\\udce9.jpg"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("ending", ["\r\n", "\n", "\r"])
def test_what_spreadsheets_give_back(tmp_path, encoding, delimiter, ending):
    table = [HEADER, ["a", "café; näiv, \ttab", 'l\'été\r\n"à deux"\n\rfin', "Keep "], ["b", "", "x", ""]]
    path = save(tmp_path / "r.csv", table, delimiter=delimiter, encoding=encoding, ending=ending)
    assert read_csv(path) == [EditedRow(2, "a", table[1][1], table[1][2], "keep"), EditedRow(3, "b", "", "x", "")]


def test_big_endian_with_a_mark(tmp_path):
    path = save(tmp_path / "r.csv", [HEADER, ["a", "é", "é", ""]], encoding="utf-16-be", head="\ufeff")
    assert read_csv(path)[0].caption == "é"


def test_a_separator_told_to_excel(tmp_path):
    path = save(tmp_path / "r.csv", [HEADER, ["a", "b", "c", "drop"]], delimiter=";", head="sep=;\r\n")
    assert read_csv(path) == [EditedRow(3, "a", "b", "c", "drop")]


def test_columns_moved_and_added_rows_moved_and_gone(tmp_path):
    table = [
        ["Notes", " Decision", "CAPTION", "sample_id", "proposed", ""],
        ["", "", "", "", "", ""],
        ["n", "accept", "c2", " B ", "p2", ""],
        ["", "", "c1", "a", "p1", ""],
        [],
    ]
    rows = read_csv(save(tmp_path / "r.csv", table))
    assert rows == [EditedRow(3, "b", "p2", "c2", "accept"), EditedRow(4, "a", "p1", "c1", "")]


def test_doubled_rows(tmp_path):
    same = ["a", "p", "c", ""]
    assert len(read_csv(save(tmp_path / "r.csv", [HEADER, same, same]))) == 1
    with pytest.raises(ReviewError, match=r"row 3, column sample_id: is there already in row 2.*'a'"):
        read_csv(save(tmp_path / "r.csv", [HEADER, same, ["a", "p", "other", ""]]))


@pytest.mark.parametrize(
    ("typed", "remedy"), [("acept", "Did you mean accept"), ("DROPP", "Did you mean drop"), ("yes", "Write accept")]
)
def test_an_unknown_decision(tmp_path, typed, remedy):
    with pytest.raises(ReviewError, match="row 2, column decision: unknown word") as caught:
        read_csv(save(tmp_path / "r.csv", [HEADER, ["a", "p", "c", typed]]))
    assert remedy in str(caught.value)
    assert repr(typed) in str(caught.value)


@pytest.mark.parametrize("missing", HEADER)
def test_a_missing_column(tmp_path, missing):
    with pytest.raises(ReviewError, match=f"column {missing}: is missing"):
        read_csv(save(tmp_path / "r.csv", [[name for name in HEADER if name != missing]]))


def test_all_problems_in_one_message_and_no_more_than_twenty(tmp_path):
    table = [HEADER, *([letter, "p", "c", "maybe"] for letter in string.ascii_lowercase)]
    with pytest.raises(ReviewError, match="26 problems") as caught:
        read_csv(save(tmp_path / "r.csv", table))
    assert str(caught.value).count("unknown word") == 20
    assert "and 6 more" in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "column sample_id: is missing"),
        (b'sample_id,proposed,caption,decision\r\na,p,"never closed\r\n', "not a well-formed table"),
        (b"sample_id,proposed,caption,decision\r\na,p,one,drop,two\r\n", "more cells than the header"),
        (b"PK\x03\x04\x14\x00", "workbook"),
        (b"caption\x81\r\n", "neither UTF-8"),
        (b"\xff\xfea", "neither UTF-8"),
        (b"\x89PNG\r\n\x1a\n", "column sample_id: is missing"),
        (b"sample_id,caption,caption,proposed,decision\r\n", "column caption: is there twice"),
        (b"sample_id,proposed,caption,decision\r\na,p," + b"x" * 200_000, "not a well-formed table"),
    ],
)
def test_a_file_that_is_no_review(tmp_path, data, problem):
    (tmp_path / "r.csv").write_bytes(data)
    with pytest.raises(ReviewError, match=problem):
        read_csv(tmp_path / "r.csv")


def test_a_file_that_is_not_there(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(ReviewError, match="cannot be read"):
            read_csv(path)
