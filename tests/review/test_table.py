import csv
import io
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.errors import ReviewError
from pipeline.review.columns import COLUMNS, NEEDED
from pipeline.review.rows import ReviewRow
from pipeline.review.spreadsheet import shown
from pipeline.review.table import EditedRow, export, read
from pipeline.review.versions import written


def row(number=0, **said):
    defaults = {
        "sample_id": f"{number:016x}{number:048x}",
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


def cells(path, delimiter=","):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def save(path, table, *, delimiter=",", encoding="utf-8", ending="\r\n", head=""):
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=delimiter, lineterminator=ending).writerows(table)
    path.write_bytes((head + buffer.getvalue()).encode(encoding, "replace"))
    return path


HEADER = list(NEEDED)
BASE = written("v-0123456789ab")


def line(id="a", caption="c", decision="", before="p", base=BASE):  # noqa: A002 - a column's name
    return [id, caption, decision, before, base]


def got(number, id="a", caption="c", decision="", before="p", **more):  # noqa: A002
    return EditedRow(number, id, before, caption, decision, base="v-0123456789ab", **more)


# what tends to break: quotes, separators, ends of lines, formulas, apostrophes, other scripts
nasty = st.text(
    st.one_of(st.sampled_from("'=+-@\t\r\n\",; \0\uff1d\ufeff\u2028_x0"), st.characters(exclude_categories=["Cs"]))
)


@pytest.mark.parametrize("ending", ["csv", "tsv", "xlsx"])
@settings(max_examples=25)
@given(texts=st.lists(st.tuples(nasty, nasty), max_size=4))
def test_export_and_import_are_identity(tmp_path_factory, ending, texts):
    path = tmp_path_factory.mktemp("review") / f"r.{ending}"
    rows = [row(n, caption=c, origin=o, note=o.strip()) for n, (c, o) in enumerate(texts)]
    export(rows, path, reviewer="bo")
    expected = [
        EditedRow(n + 2, r.id, shown(r.caption), shown(r.caption), "", shown(r.note).strip(), "bo", r.version)
        for n, r in enumerate(rows)
    ]
    assert list(read(path).rows) == expected


@settings(max_examples=25)
@given(st.lists(nasty, min_size=1, max_size=4))
def test_no_cell_begins_like_a_formula(tmp_path_factory, captions):
    path = tmp_path_factory.mktemp("review") / "r.csv"
    export([row(n, caption=c, origin=c, proposed=c, flags=(c,), candidates=(c,)) for n, c in enumerate(captions)], path)
    written = [cell for line in cells(path) for cell in line.values()]
    assert not [cell for cell in written if cell.lstrip(" ")[:1] in set("=+-@\t\r\n\uff1d")]


def test_the_bytes_that_excel_wants(tmp_path):
    export([row(caption='the "red" cat, asleep'), row(1, caption="=1+1")], tmp_path / "r.csv")
    data = (tmp_path / "r.csv").read_bytes()
    assert data.startswith(
        b"\xef\xbb\xbfid,picture,file,machine_caption,candidates,scores,flags,caption,decision,note,"
    )
    assert b'"the ""red"" cat, asleep"' in data
    assert b",'=1+1," in data
    assert data.count(b"\r\n") == data.count(b"\n") == 3


def test_every_column_is_filled_and_explained(tmp_path):
    shown = row(candidates=("a dog", "a fox"), fit=23.456, note="is it?", flags=("very short",), proposed="a pup")
    export([shown], tmp_path / "r.csv", thumbnails={shown.sample_id: png()}, reviewer="anna")
    (told,) = cells(tmp_path / "r.csv")
    assert list(told) == list(COLUMNS)
    assert told == {
        "id": "s-0000000000000000", "picture": "r_thumbnails/s-0000000000000000.jpg", "file": "cats/0.jpg",
        "machine_caption": "a pup", "candidates": "a dog\na fox", "scores": "fit 23.5", "flags": "very short",
        "caption": "a cat", "decision": "", "note": "is it?", "reviewer": "anna", "before": "a cat",
        "base": written(shown.version),
    }  # fmt: skip
    explained = (tmp_path / "r_columns.txt").read_text(encoding="utf-8-sig")
    assert all(f"{name} " in explained for name in COLUMNS)


def test_thumbnails_lie_beside_the_file(tmp_path):
    export([row(0, thumbnail=png()), row(1)], tmp_path / "r.csv")
    first, second = cells(tmp_path / "r.csv")
    assert second["picture"] == ""
    with Image.open(tmp_path / first["picture"]) as image:
        assert image.format == "JPEG"
        red, green, blue = image.getpixel((4, 4))
        assert red > 240
        assert green + blue < 20
    export([row(0, thumbnail=png()), row(1)], tmp_path / "q.tsv", thumbnails={row(1).sample_id: png(9, "P")})
    assert [p.stem for p in (tmp_path / "q_thumbnails").iterdir()] == [row(1).id]
    assert [one["caption"] for one in cells(tmp_path / "q.tsv", "\t")] == ["a cat", "a cat"]


def test_never_writes_over_someones_work(tmp_path):
    path = tmp_path / "deep" / "r.csv"
    export([row()], path)
    path.write_text("work")
    with pytest.raises(ReviewError, match="someone may have worked in it"):
        export([row()], path)
    assert path.read_text() == "work"
    export([row()], path, replace=True)
    assert len(read(path).rows) == 1
    assert sorted(p.name for p in path.parent.iterdir()) == ["r.csv", "r_columns.txt"]


def test_a_format_that_is_not_there(tmp_path):
    with pytest.raises(ReviewError, match=r"CSV, TSV, XLSX or HTML.*ods"):
        export([row()], tmp_path / "r.ods")


def test_a_caption_that_no_cell_holds(tmp_path):
    with pytest.raises(ReviewError, match="32,767"):
        export([row(caption="x" * 32_767)], tmp_path / "r.csv")
    assert not list(tmp_path.iterdir())


def test_a_file_name_that_is_no_text(tmp_path):
    export([row(origin="caf\udce9.jpg")], tmp_path / "r.csv")
    assert cells(tmp_path / "r.csv")[0]["file"] == "caf\\udce9.jpg"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("ending", ["\r\n", "\n", "\r"])
def test_what_spreadsheets_give_back(tmp_path, encoding, delimiter, ending):
    texts = ("café; näiv, \ttab", 'l\'été\r\n"à deux"\n\rfin')
    table = [HEADER, line(caption=texts[1], before=texts[0], decision="Keep "), line("b", "x", before="")]
    path = save(tmp_path / "r.csv", table, delimiter=delimiter, encoding=encoding, ending=ending)
    lossy = encoding == "cp1252"
    assert read(path).rows == (
        got(2, "a", texts[1], "keep", texts[0], lossy=lossy),
        got(3, "b", "x", before="", lossy=lossy),
    )


def test_big_endian_with_a_mark(tmp_path):
    path = save(tmp_path / "r.csv", [HEADER, line(caption="é")], encoding="utf-16-be", head="\ufeff")
    assert read(path).rows[0].caption == "é"


def test_a_separator_told_to_excel(tmp_path):
    path = save(tmp_path / "r.csv", [HEADER, line(decision="drop")], delimiter=";", head="sep=;\r\n")
    assert read(path).rows == (got(3, decision="drop"),)


def test_columns_moved_added_and_renamed_rows_moved_and_gone(tmp_path):
    table = [
        ["Captions to review", "", "", "", "", "", "", ""],
        ["My notes", " Decision", "CAPTION", "ID", "Before", "", "base", "NOTE"],
        ["", "", "", "", "", "", "", ""],
        ["n", "accept", "c2", " B ", "p2", "", BASE, " why "],
        ["", "", "c1", "a", "p1", "", BASE, ""],
        [],
    ]
    found = read(save(tmp_path / "r.csv", table))
    assert found.rows == (got(4, "b", "c2", "accept", "p2", note="why"), got(5, "a", "c1", before="p1"))
    assert (found.ignored, found.missing, found.doubled) == (("My notes",), ("reviewer",), 0)
    how = "2 rows of text in UTF-8, separated by commas"
    assert found.words() == f"{how}; columns not known, ignored: My notes; columns not there: reviewer"


def test_doubled_rows(tmp_path):
    found = read(save(tmp_path / "r.csv", [HEADER, line(), line()]))
    assert (len(found.rows), found.doubled) == (1, 1)
    with pytest.raises(ReviewError, match=r"row 3, column id: is there already in row 2.*'a'"):
        read(save(tmp_path / "r.csv", [HEADER, line(), line(caption="other")]))


@pytest.mark.parametrize(
    ("typed", "remedy"), [("acept", "Did you mean accept"), ("DROPP", "Did you mean drop"), ("yes", "Write accept")]
)
def test_an_unknown_decision(tmp_path, typed, remedy):
    with pytest.raises(ReviewError, match="row 2, column decision: unknown word") as caught:
        read(save(tmp_path / "r.csv", [HEADER, line(decision=typed)]))
    assert remedy in str(caught.value)
    assert repr(typed) in str(caught.value)


@pytest.mark.parametrize("missing", HEADER)
def test_a_missing_column(tmp_path, missing):
    with pytest.raises(ReviewError, match=f"column {missing}: is missing"):
        read(save(tmp_path / "r.csv", [[name for name in HEADER if name != missing]]))


def test_a_renamed_column_is_not_guessed(tmp_path):
    with pytest.raises(ReviewError, match=r"column caption: is missing.*Is it the one called 'captions'"):
        read(save(tmp_path / "r.csv", [["id", "captions", "decision", "before", "base"], line()]))


def test_all_problems_in_one_message_and_no_more_than_twenty(tmp_path):
    table = [HEADER, *(line(letter, decision="maybe") for letter in string.ascii_lowercase)]
    with pytest.raises(ReviewError, match="26 problems") as caught:
        read(save(tmp_path / "r.csv", table))
    assert str(caught.value).count("unknown word") == 20
    assert "and 6 more" in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "column id: is missing"),
        (b'id,before,caption,decision,base\r\na,p,"never closed\r\n', "not a well-formed table"),
        (b"id,before,caption,decision,base\r\na,p,one,drop,v,two\r\n", "more cells than the header"),
        (b"PK\x03\x04\x14\x00", "no workbook"),
        (b"caption\x81\r\n", "neither UTF-8"),
        (b"\xff\xfea", "neither UTF-8"),
        (b"\x89PNG\r\n\x1a\n", "column id: is missing"),
        (b"id,caption,caption,before,decision,base\r\n", "column caption: is there twice"),
        (b"id,before,caption,decision,base\r\na,p," + b"x" * 200_000, "not a well-formed table"),
    ],
)
def test_a_file_that_is_no_review(tmp_path, data, problem):
    (tmp_path / "r.csv").write_bytes(data)
    with pytest.raises(ReviewError, match=problem):
        read(tmp_path / "r.csv")


def test_a_file_that_is_not_there(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(ReviewError, match="cannot be read"):
            read(path)
