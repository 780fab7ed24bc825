import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dedup import runs
from pipeline.dedup.chunks import bits

FRONT = 8
HASHES = st.tuples(st.integers(0, 2**32), st.integers(1, 120)).map(
    lambda told: np.sort(arranged(np.random.default_rng(told[0]), told[1]))
)


def arranged(rng, count):
    """Hashes of few beginnings, some of which are far more frequent than others."""
    front = rng.choice(6, count, p=rng.dirichlet(np.full(6, 0.5))).astype(np.uint64)
    return front << np.uint64(56) | rng.integers(0, 2**12, count, np.uint64)


def lengths_of(arranged):
    _, counts = np.unique(arranged & bits(0, FRONT), return_counts=True)
    return counts


@given(HASHES, st.integers(0, 12), st.sampled_from((1, 6, 1000)), st.sampled_from((4, 65_536)))
def test_close_hashes_of_a_run_are_found_once_whether_runs_are_alike_or_not(hashes, limit, few, block):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "_FEW", few)
        patch.setattr(runs, "_BLOCK", block)
        found = [
            pair
            for one, other in runs.neighbours(hashes, lengths_of(hashes), limit)
            for pair in zip(one.tolist(), other.tolist(), strict=True)
        ]
    assert len(found) == len(set(found))
    fronts = (hashes >> np.uint64(64 - FRONT)).tolist()
    wanted = {
        (one, other)
        for other in range(len(hashes))
        for one in range(other)
        if fronts[one] == fronts[other] and int(hashes[one] ^ hashes[other]).bit_count() <= limit
    }
    assert {(one, other) for one, other in found if fronts[one] == fronts[other]} == wanted
    assert all(int(hashes[one] ^ hashes[other]).bit_count() <= limit for one, other in found)


@given(HASHES, st.randoms(), st.sampled_from((0, 26)))
def test_what_agrees_with_one_that_is_asked_for(hashes, random, table):
    asked = np.array([random.random() < 0.2 for _ in hashes], np.bool_)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "_TABLE_BITS", table)
        found = runs.touched(hashes, asked, FRONT)
    fronts = {int(one) >> 56 for one in hashes[asked]}
    assert found.tolist() == [one for one in hashes.tolist() if one >> 56 in fronts]
