import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.errors import ReviewError
from pipeline.review.spreadsheet import escaped, records, unescaped

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


@pytest.mark.parametrize("text", ["'tis a cat", "a=b", "", "'", "1-2"])
def test_what_needs_no_escape_is_left_alone(text):
    assert escaped(text) == unescaped(text) == text


def test_what_a_person_typed_is_left_alone():
    assert unescaped("=SUM(A1)") == "=SUM(A1)"
    assert unescaped("'quoted' cat") == "'quoted' cat"


def test_the_known_columns_tell_the_separator(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("a;b,x,y,z,c\n1;2,3;4\n")
    assert records(path, columns=["a"]) == [(1, ["a", "b,x,y,z,c"]), (2, ["1", "2,3", "4"])]
    assert records(path, columns=["x", "y", "c"]) == [(1, ["a;b", "x", "y", "z", "c"]), (2, ["1;2", "3;4"])]


def test_a_row_with_line_breaks_counts_as_one(tmp_path):
    path = tmp_path / "r.csv"
    path.write_bytes(b'a,b\r\n"one\r\ntwo\nthree",x\r\n4,5\r\n')
    assert records(path, columns=["a"]) == [(1, ["a", "b"]), (2, ["one\r\ntwo\nthree", "x"]), (3, ["4", "5"])]


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "r.csv"
    path.write_bytes(b"a,b\r\n\x81,\x8d\r\n")
    with pytest.raises(ReviewError, match="neither UTF-8"):
        records(path, columns=["a"])
