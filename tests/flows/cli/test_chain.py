"""Commands that take a recipe through its steps."""

from flows.cli import chain
from pipeline import plan


def test_the_steps_of_prepare_are_those_of_the_plan():
    assert plan.STEPS["prepare"] == chain.UNTIL
