from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.dedup import embedded


def directions(seed, count, *, groups=3):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(groups, 8))[rng.integers(0, groups, count)] + rng.normal(size=(count, 8)) * 0.3
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 999), count=st.integers(0, 40), similarity=st.floats(-0.5, 0.999), rows=st.integers(1, 9))
def test_pairs_are_those_of_the_naive_loop_in_any_order_and_block(seed, count, similarity, rows):
    vectors, names = directions(seed, count), [f"{place:02}" for place in range(count)]
    order = np.random.default_rng(seed).permutation(count)
    exact = {
        (names[a], names[b]): round(float(vectors[a].astype(float) @ vectors[b].astype(float)), 6)
        for a, b in combinations(range(count), 2)
    }
    expected = {pair: value for pair, value in exact.items() if value >= similarity}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedded, "_ROWS", rows)
        patch.setattr(embedded, "_COLUMNS", 2 * rows + 1)
        found = list(embedded.pairs([names[place] for place in order], vectors[order], similarity))
    assert len(found) == len(expected)
    assert {(a, b): pytest.approx(1 - link.distance, abs=2e-6) for a, b, link in found} == expected


def test_a_link_says_what_was_measured_and_the_limit():
    vectors = np.array([[1, 0], [0.6, 0.8], [0, 1]], np.float32)
    ((a, b, link),) = embedded.pairs(["x", "y", "z"], vectors, 0.7)
    assert (a, b, link.reason, link.value, link.limit) == ("y", "z", "shows the same", "0.8", "0.7")
