import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.review.merge import merge

values = st.sampled_from("abc")


@pytest.mark.parametrize(
    ("seen", "mine", "stands", "outcome"),
    [
        ("a", "a", "a", "unchanged"),
        ("a", "b", "a", "mine"),
        ("a", "a", "b", "theirs"),
        ("a", "b", "b", "same"),
        ("a", "b", "c", "conflict"),
    ],
)
def test_the_five_outcomes(seen, mine, stands, outcome):
    assert merge(seen, mine, stands) == outcome


@given(values, values, values)
def test_who_merges_whose_does_not_matter(seen, mine, theirs):
    turned = {"mine": "theirs", "theirs": "mine"}
    one, other = merge(seen, mine, theirs), merge(seen, theirs, mine)
    assert other == turned.get(one, one)
