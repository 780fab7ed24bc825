import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dedup.chunks import BITS, Chunks

HASH = st.integers(0, 2**BITS - 1)


@given(HASH, st.sets(st.integers(0, 63), max_size=20), st.integers(0, 6))
def test_close_hashes_agree_in_as_many_chunks_as_is_said(value, flips, agree):
    limit = len(flips)
    chunks = Chunks.of(limit, min(agree, BITS - limit))
    apart = sum(1 << bit for bit in flips)
    same = [place for place in range(len(chunks.widths)) if not apart & int(chunks.mask(place))]
    assert len(same) >= chunks.agree
    assert sum(chunks.widths) == (BITS if chunks.agree else 0)


@given(st.integers(0, 63), st.integers(0, 6), HASH)
def test_bits_that_were_moved_to_the_front_come_back(limit, agree, value):
    chunks = Chunks.of(limit, min(agree, BITS - limit, 3))
    for beginning in chunks.beginnings()[:5]:
        for choice in chunks.choices(beginning)[-2:]:
            one = np.array([value], np.uint64)
            moved = chunks.to_front(one, choice)
            assert chunks.from_front(moved, choice) == one
            front = "".join(
                f"{value:064b}"[chunks.starts[chunk] : chunks.starts[chunk] + chunks.widths[chunk]] for chunk in choice
            )
            assert f"{int(moved[0]):064b}".startswith(front)


def test_few_are_compared_all_with_all_and_many_are_not():
    assert Chunks.cheapest(500, 500, 8).agree == 0
    assert Chunks.cheapest(10**6, 10**6, 8).agree == 3
    assert Chunks.cheapest(10**6, 10**6, 40).agree == 0
    assert Chunks.cheapest(10**6, 10**6, 3).agree == 2


def test_long_runs_make_all_with_all_the_cheaper_one():
    chunks = Chunks.of(12, 2)
    assert not chunks.costs_more_than_all(100_000, 0)
    assert not chunks.costs_more_than_all(100_000, 100_000)
    assert chunks.costs_more_than_all(100_000, 17e6)  # 18.6 s of a processor in place of 8.3, measured


@given(st.integers(0, 40), st.integers(1, 6))
def test_choices_that_stand_apart_have_no_chunk_in_common(limit, agree):
    chunks = Chunks.of(limit, agree)
    apart = chunks.apart()
    assert len(apart) == (limit + agree) // agree
    assert all(len(choice) == agree for choice in apart)
    assert len({one for choice in apart for one in choice}) == agree * len(apart)
