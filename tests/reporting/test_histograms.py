import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.reporting import histograms
from pipeline.reporting.histograms import histogram


def named(values):
    return {f"id{place:04}": float(value) for place, value in enumerate(values)}


@settings(max_examples=40)
@given(values=st.lists(st.floats(-1e6, 1e6), max_size=80), bound=st.none() | st.floats(-10, 10))
def test_every_value_is_in_one_bar_that_holds_it(values, bound):
    shown = histogram("a__b", "", named(values), least=bound)
    assert sum(one.count for one in shown.bars) == len(values)
    for one in shown.bars:
        assert len(one.examples) == min(one.count, histograms.SHOWN)
        for who in one.examples:
            assert one.low <= values[int(who[2:])] <= one.high
    assert all(one.high == other.low for one, other in zip(shown.bars, shown.bars[1:], strict=False))


@pytest.mark.parametrize(("least", "most"), [(0.3, None), (None, 0.3), (0.2, 0.8)])
def test_bars_beyond_a_limit_hold_just_what_it_refuses(least, most):
    values = np.random.default_rng(0).uniform(0, 1, 500)
    shown = histogram("a__b", "", named(values), least=least, most=most)
    refused = sum(value < (least or 0) or value > (most or 1) for value in values)
    assert sum(one.count for one in shown.bars if one.refused) == refused
    assert shown.limit == {0.3: "at least 0.3", 0.2: "at least 0.2 and at most 0.8", None: "at most 0.3"}[least]


def test_a_single_far_value_does_not_press_the_rest_into_one_bar():
    shown = histogram("a__b", "", named([*np.linspace(0, 1, 400), 1e6]))
    assert sorted(one.count for one in shown.bars)[-1] < 60
    assert shown.bars[-1].high == 1e6


def test_what_is_not_finite_is_left_out_and_of_nothing_nothing_is_drawn():
    assert sum(one.count for one in histogram("a__b", "", named([1, np.nan, np.inf, 2])).bars) == 2
    empty = histogram("a__b", "", {})
    assert empty.bars == ()
    assert "<svg" in histograms.chart(empty)


def test_each_bar_is_a_link_to_its_own_pictures():
    shown = histogram("noise__sigma", "", named(range(50)), most=20)
    links = re.findall(r'href="#([^"]+)"', histograms.chart(shown))
    assert links == [histograms.anchor(shown, place) for place in range(histograms.BINS)]
    assert len(set(links)) == histograms.BINS
    assert "bar rejected" in histograms.chart(shown)
