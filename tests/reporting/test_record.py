from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.reporting.record import LedgerRow, Metric, funnel

STAGES = ("read", "rights", "quality")
STATES = ("kept", "held_out", "rejected", "quarantined", "awaiting_review")


@given(st.lists(st.tuples(st.sampled_from(STAGES), st.sampled_from(STATES)), max_size=60))
def test_every_file_is_in_the_funnel_once(ends):
    steps = funnel([LedgerRow(str(at), "", state, stage) for at, (stage, state) in enumerate(ends)], STAGES)
    assert [step.stage for step in steps] == list(STAGES)
    assert steps[0].came_in == len(ends)
    assert all(before.went_on == after.came_in for before, after in pairwise(steps))
    assert steps[-1].went_on == sum(state in ("kept", "held_out") for _, state in ends)
    for step in steps:
        for state, many in step.left.items():
            assert many == ends.count((step.stage, state))


def test_a_stage_that_the_funnel_lacks_is_refused():
    with pytest.raises(ValueError, match="dedup"):
        funnel([LedgerRow("a.png", "", "duplicate", "dedup")], STAGES)


@pytest.mark.parametrize(
    ("low", "high", "higher_is_better", "helped"),
    [
        (0.1, 0.3, True, True),
        (0.1, 0.3, False, False),
        (-0.3, -0.1, False, True),
        (-0.3, -0.1, True, False),
        (-0.1, 0.1, True, None),
        (0.0, 0.1, True, None),
        (0.1, 0.3, None, None),
    ],
)
def test_a_metric_tells_whether_training_helped(low, high, higher_is_better, helped):
    metric = Metric("m", "", 1.0, 1.2, (low + high) / 2, low, high, higher_is_better)
    assert metric.helped is helped
    assert metric.distinguishable is not (low <= 0 <= high)
