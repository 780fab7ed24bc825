import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.reporting.curves import best_range, by_timestep, overall, smooth
from pipeline.reporting.record import StableLoss

finite = st.floats(-1e6, 1e6)


@given(st.lists(finite, min_size=1, max_size=50), st.floats(1, 100))
def test_a_smoothed_line_stays_within_its_points(values, span):
    smoothed = smooth(list(enumerate(values)), span=span)
    assert len(smoothed) == len(values)
    slack = 1e-6 * (1 + max(map(abs, values)))
    assert all(min(values) - slack <= value <= max(values) + slack for _, value in smoothed)


def test_smoothing_a_constant_changes_nothing_from_the_first_step_on():
    assert [value for _, value in smooth([(step, 3.0) for step in range(9)], span=5)] == pytest.approx([3.0] * 9)


def test_smoothing_steps_over_what_is_no_number():
    smoothed = smooth([(0, 1.0), (1, math.nan), (2, 1.0), (3, math.inf)], span=3)
    assert smoothed == ((0, pytest.approx(1.0)), (2, pytest.approx(1.0)))


def test_change_is_relative_to_the_base_model_and_each_timestep_counts_alike():
    rows = [
        StableLoss(step, "held_out", timestep, loss)
        for timestep, losses in ((100, (10.0, 9.0)), (900, (0.1, 0.07)))
        for step, loss in zip((0, 50), losses, strict=True)
    ]
    changes = by_timestep(rows)
    assert changes[100]["held_out"] == ((0, 0.0), (50, pytest.approx(-0.1)))
    assert changes[900]["held_out"] == ((0, 0.0), (50, pytest.approx(-0.3)))
    assert overall(changes) == {"held_out": ((0, 0.0), (50, pytest.approx(-0.2)))}


def test_rows_of_one_checkpoint_are_averaged_and_what_is_no_number_left_out():
    rows = [
        StableLoss(0, "train", 5, 1.0),
        StableLoss(0, "train", 5, 3.0),
        StableLoss(9, "train", 5, 1.0),
        StableLoss(9, "train", 5, math.nan),
    ]
    assert by_timestep(rows)[5]["train"] == ((0, 0.0), (9, pytest.approx(-0.5)))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((0.0, -0.1, -0.2, -0.15), (2, 2, 2)),
        ((0.0, -0.195, -0.2, -0.195, -0.1), (1, 2, 3)),
        ((0.0, -0.2, -0.1, -0.2, -0.199), (1, 1, 1)),
        ((0.0,), (0, 0, 0)),
    ],
)
def test_the_best_range_is_the_stretch_around_the_lowest_point(values, expected):
    assert best_range(tuple(enumerate(values))) == expected
