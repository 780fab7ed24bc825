from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dedup import groups

HASH = st.integers(0, 2**64 - 1)


def duplicate(sample_id, kept, state="duplicate"):
    return {"state": state, "sample_id": sample_id, "kept_instead": kept}


@given(st.lists(HASH, min_size=2, max_size=12))
def test_weakest_link_and_diameter_are_those_of_the_naive_loop(hashes):
    named = {f"s{place}": value for place, value in enumerate(hashes)}
    kept, *others = named
    (row,) = groups.told([duplicate(one, kept) for one in others], named).to_pylist()
    far = [(a ^ b).bit_count() for a, b in combinations(hashes, 2)]
    weakest = max((hashes[0] ^ one).bit_count() for one in hashes[1:])
    assert row == {"kept": "s0", "members": len(others), "weakest": weakest, "diameter": max(far)}
    assert row["diameter"] <= 2 * row["weakest"]


def test_copies_of_the_same_bytes_and_what_stayed_make_no_group():
    rows = [duplicate("a", "a"), duplicate("b", None, state="kept"), duplicate("c", None, state="rejected")]
    assert groups.told(rows, dict.fromkeys("abc", 1)).num_rows == 0


@pytest.mark.parametrize("rows", [1, 2, 1024])
def test_a_large_group_is_compared_in_blocks(monkeypatch, rows):
    monkeypatch.setattr(groups, "_ROWS", rows)
    named = {"a": 0, "b": 1, "c": 2, "d": 2**63}
    (row,) = groups.told([duplicate(one, "a") for one in "bcd"], named).to_pylist()
    assert (row["weakest"], row["diameter"]) == (1, 2)
