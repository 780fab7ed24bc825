import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.reporting import words


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.08213, "0.0821"),
        (12340, "12,340"),
        (1e-5, "1e-05"),
        (0, "0"),
        (-0.014, "-0.014"),
        (4.0, "4"),
        (5123.4, "5,123"),
    ],
)
def test_numbers(value, shown):
    assert words.number(value) == shown


def test_numbers_that_are_none():
    assert words.number(math.nan) == "not a number"
    assert words.number(-math.inf) == "-infinity"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_within_half_a_percent(value):
    shown = float(words.number(value).replace(",", ""))
    assert math.isclose(shown, value, rel_tol=0.005, abs_tol=1e-300)


def test_signs():
    assert words.number(0.5, signed=True) == "+0.5"
    assert words.number(7, signed=True) == "+7"
    assert words.number(0, signed=True) == "0"
    assert words.percent(0.0421, signed=True) == "+4.2 %"
    assert words.percent(-0.0000001) == "0 %"
    assert words.percent(-0.123) == "-12 %"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0421, "0.042 s"),
        (9.4, "9.4 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (7620, "2 h 07 min"),
    ],
)
def test_durations(seconds, shown):
    assert words.duration(seconds) == shown


def test_lists_counts_and_names():
    assert words.listing([]) == ""
    assert words.listing(["a"]) == "a"
    assert words.listing(["a", "b", "c"]) == "a, b and c"
    assert words.count(1, "file") == "1 file"
    assert words.count(1200, "box", "boxes") == "1,200 boxes"
    assert words.plain("sharpness__short_side") == "sharpness: short side"
    assert words.memory(640.2) == "640 MiB"
    assert words.memory(2904.4) == "2.8 GiB"


@given(st.lists(st.integers(), unique=True, max_size=50), st.integers(2, 20))
def test_spread_items_keep_order_and_both_ends(items, at_most):
    chosen = words.spread(items, at_most)
    assert len(chosen) == min(len(items), at_most)
    assert chosen == [item for item in items if item in chosen]
    assert not items or (chosen[0], chosen[-1]) == (items[0], items[-1])
