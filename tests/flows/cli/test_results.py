"""Commands that show what a workspace holds."""

from flows.cli import results
from pipeline import ledger


def test_the_states_are_those_of_the_ledger():
    assert results.STATES == ledger.STATES
