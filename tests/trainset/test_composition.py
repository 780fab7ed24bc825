from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.trainset.composition import shuffled, without

PARTS = st.lists(st.sampled_from(["sks", "1girl", "long hair", "red dress", "sea", "Sea"]), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("text", "unwanted", "left"),
    [
        ("sks, 1girl, solo, sea", ["solo"], "sks, 1girl, sea"),
        ("a Watermark on the sea", ["watermark", "sea"], "a on the"),
        ("a seaside, sea", ["sea"], "a seaside"),
        ("long hair, hair, long", ["hair", "long hair"], "long"),
        ("c++ code, c", ["c++"], "code, c"),
        ("1,000 red kites,red", ["red"], "1,000 kites"),
        ("red", ["red"], ""),
        ("as  it is ,", [], "as  it is ,"),
    ],
)
def test_unwanted_words_go_with_their_gaps(text, unwanted, left):
    assert without(text, unwanted) == left


@given(PARTS, st.integers(0, 9), st.text(max_size=3))
def test_a_shuffle_loses_nothing_and_keeps_the_first(parts, keep, seed):
    text = ", ".join(parts)
    found = shuffled(text, keep=keep, seed=seed)
    assert Counter(found.split(", ")) == Counter(parts)
    assert found.split(", ")[:keep] == parts[:keep]
    assert shuffled(text, keep=keep, seed=seed) == found


def test_seeds_draw_different_orders():
    text = ", ".join("abcdefgh")
    assert len({shuffled(text, keep=1, seed=f"x {view}") for view in range(20)}) > 15
