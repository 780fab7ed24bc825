import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pipeline.bootstrap import RESAMPLES, paired

VALUES = st.lists(st.tuples(st.floats(-100, 100), st.floats(-100, 100)), min_size=2, max_size=12)


def test_a_planted_gain_is_found_and_none_is_not():
    rng = np.random.default_rng(0)
    before = rng.normal(0, 5, 40)
    gain = paired(list(before), list(before + rng.normal(1, 0.5, 40)))
    assert gain.difference == pytest.approx(1, abs=0.2)
    assert gain.distinguishable
    assert gain.low < 1 < gain.high
    assert not paired(list(before), list(before + rng.normal(0, 0.5, 40))).distinguishable


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(100):
        found = paired([0.0] * 30, list(rng.normal(2, 1, 30)))
        held += found.low <= 2 <= found.high
    assert 88 <= held <= 99


def test_a_group_counts_once_however_many_pairs_it_has():
    # one loud picture at nine timesteps and three quiet ones
    found = paired([0.0] * 12, [9.0] * 9 + [1.0] * 3, groups=["loud"] * 9 + ["a", "b", "c"])
    assert found.difference == 3.0
    rng = np.random.default_rng(2)
    pictures = np.repeat(rng.normal(0, 1, 10), 20)
    apart = paired([0.0] * 200, list(pictures))
    together = paired([0.0] * 200, list(pictures), groups=list(np.repeat(np.arange(10), 20)))
    assert together.high - together.low > 3 * (apart.high - apart.low)


def test_one_group_has_no_interval():
    found = paired([1.0, 2.0], [2.0, 4.0], groups=["a", "a"])
    assert (found.difference, found.low, found.high, found.distinguishable) == (1.5, None, None, False)


def test_equal_pairs_differ_by_nothing():
    found = paired([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    assert (found.difference, found.low, found.high) == (0, 0, 0)
    assert not found.distinguishable


@given(VALUES)
def test_the_interval_holds_the_mean_repeats_and_turns_with_the_sign(pairs):
    before, after = [one for one, _ in pairs], [one for _, one in pairs]
    found = paired(before, after)
    assert found.low - 1e-9 <= found.difference <= found.high + 1e-9
    assert paired(before, after) == found
    turned = paired(after, before)
    assert turned.difference == pytest.approx(-found.difference)
    assert found.distinguishable <= (found.difference != 0)


def test_nothing_and_unlike_lengths_are_refused():
    with pytest.raises(ValueError, match="0 values"):
        paired([], [])
    with pytest.raises(ValueError, match="1 values before, 2 after"):
        paired([1.0], [1.0, 2.0])


@pytest.mark.parametrize(("size", "seed"), [(2, 0), (7, 1), (40, 2)])
def test_the_interval_is_scipys(size, seed):
    after = np.random.default_rng(seed).normal(1, 2, size)
    found = paired([0.0] * size, list(after), seed=seed)
    wanted = stats.bootstrap(
        (after,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=np.random.default_rng(seed)
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=1e-12)
