import pytest

from pipeline.errors import ReviewError
from pipeline.review.problems import SHOWN, Problems


def test_none_is_fine():
    Problems("r.csv").raise_if_any()


def test_one_is_told_as_itself():
    problems = Problems("r.csv")
    problems.add("was emptied", cell="row 2, column caption", value="x" * 100, remedy="Write one.")
    with pytest.raises(ReviewError) as caught:
        problems.raise_if_any()
    assert str(caught.value) == f"r.csv, row 2, column caption: was emptied (got {'x' * 77 + '...'!r}). Write one."


@pytest.mark.parametrize("count", [2, SHOWN, SHOWN + 1, 1000])
def test_many_are_one_message(count):
    problems = Problems("r.csv")
    for number in range(count):
        problems.add("is odd", cell=f"row {number}", remedy="Mend it.")
    with pytest.raises(ReviewError, match=f"r.csv: {count} problems") as caught:
        problems.raise_if_any()
    assert str(caught.value).count("is odd") == min(count, SHOWN)
    assert (f"and {count - SHOWN} more" in str(caught.value)) == (count > SHOWN)
