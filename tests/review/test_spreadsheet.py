import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.errors import ReviewError
from pipeline.review.spreadsheet import escaped, read, shown, unescaped
from pipeline.review.versions import written

FORMULA = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"
texts = st.text() | st.text(st.sampled_from("'" + FORMULA + "a"))


@given(texts)
@example("'")
@example("'=1+1")
@example("''tis")
def test_escaping_is_undone_exactly(text):
    assert unescaped(escaped(text)) == text


@given(texts)
def test_nothing_escaped_begins_like_a_formula(text):
    assert not escaped(text).startswith(tuple(FORMULA))


@given(texts)
def test_what_begins_with_an_apostrophe_survives_a_spreadsheet_that_takes_one_away(text):
    if text.startswith("'") and not {text[1:2], text[1:].lstrip()[:1]} & {*FORMULA, "'"}:
        assert unescaped(escaped(text)[1:]) == text


@pytest.mark.parametrize("text", ["a=b", "", "1-2", "a 'quoted' cat"])
def test_what_needs_no_escape_is_left_alone(text):
    assert escaped(text) == unescaped(text) == text


def test_what_a_person_typed_is_left_alone():
    assert unescaped("=SUM(A1)") == "=SUM(A1)"
    assert unescaped("'quoted' cat") == "'quoted' cat"


def test_the_known_columns_tell_the_separator(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("a;b,x,y,z,c\n1;2,3;4\n")
    assert read(path, columns=["a"]).rows == [(1, ["a", "b,x,y,z,c"]), (2, ["1", "2,3", "4"])]
    assert read(path, columns=["x", "y", "c"]).rows == [(1, ["a;b", "x", "y", "z", "c"]), (2, ["1;2", "3;4"])]
    assert read(path, columns=["a"]).how == "text in UTF-8, separated by semicolons"


def test_a_row_with_line_breaks_counts_as_one(tmp_path):
    path = tmp_path / "r.csv"
    path.write_bytes(b'a,b\r\n"one\r\ntwo\nthree",x\r\n4,5\r\n')
    rows = read(path, columns=["a"]).rows
    assert rows == [(1, ["a", "b"]), (2, ["one\r\ntwo\nthree", "x"]), (3, ["4", "5"])]


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "r.csv"
    path.write_bytes(b"a,b\r\n\x81,\x8d\r\n")
    with pytest.raises(ReviewError, match="neither UTF-8"):
        read(path, columns=["a"])


@pytest.mark.parametrize(
    ("encoding", "name"), [("cp1252", "Windows-1252"), ("mac_roman", "Mac Roman"), ("cp1250", "Windows-1250")]
)
def test_the_canary_tells_the_encoding(tmp_path, encoding, name):
    path = tmp_path / "r.csv"
    path.write_bytes(f"base,caption\n{written('v-0123456789ab')},été\n".encode(encoding, "replace"))
    sheet = read(path, columns=["base"])
    assert sheet.rows[1][1][1] == "été"
    assert sheet.how.startswith(f"text in {name}")


def test_what_no_workbook_holds_is_shown_as_a_mark():
    assert shown("a\x0bb\ud800\r\nc\rd\te") == "a\ufffdb\ufffd\nc\nd\te"
