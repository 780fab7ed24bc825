"""The ledger: every file that came in, in exactly one state, with the stage, reason, value and limit that put it there.

A ledger belongs to a run, since a state depends on the recipe.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

import pyarrow as pa

from pipeline.errors import GessoError
from pipeline.manifest import Row

STATES = (
    "kept",
    "held_out",
    "duplicate",
    "rejected",
    "quarantined",
    "dropped_by_person",
    "awaiting_review",
    "forgotten",
    "mask",
)
STAYED = ("kept", "held_out")
"""The states of files that did not leave."""
STAGES = ("ingest", "rights", "person", "quality", "dedup", "caption", "review")
"""The order in which files can leave."""

LEDGER = pa.schema(
    [
        ("origin", pa.string()),
        ("sample_id", pa.string()),
        ("state", pa.string()),
        ("stage", pa.string()),  # where the state was decided; null for what stayed to the end
        ("reason", pa.string()),
        ("value", pa.string()),  # what was measured, as people read it
        ("limit", pa.string()),  # what it was held against
        ("kept_instead", pa.string()),  # sample_id of the one that a duplicate gave way to
    ]
)


def totals(ledger: Iterable[Row]) -> dict[str, int]:
    """How many files are in each state, in the order of STATES, states without any left out."""
    counted = Counter(row["state"] for row in ledger)
    return {state: counted[state] for state in STATES if counted[state]}


def funnel(ledger: Sequence[Row]) -> list[tuple[str, int, dict[str, int]]]:
    """For each stage in order: its name, how many files reached it, and how many left there by state."""
    remaining, steps = len(ledger), []
    for stage in STAGES:
        left = totals(row for row in ledger if row["stage"] == stage)
        steps.append((stage, remaining, left))
        remaining -= sum(left.values())
    return steps


def check(ledger: Sequence[Row], origins: Sequence[Row]) -> None:
    """See that each origin stands in the ledger exactly once, in a known state, and left at a known stage or at none.

    Raises:
        GessoError: it does not; this is a bug of gesso's, and nothing must be trained on such a ledger.
    """
    listed = Counter(row["origin"] for row in ledger)
    came = Counter(row["origin"] for row in origins)
    unknown = {row["state"] for row in ledger} - set(STATES)
    lost = sum(row["stage"] not in ((None,) if row["state"] in STAYED else STAGES) for row in ledger)
    if listed != came or unknown or lost:
        raise GessoError(
            f"the ledger does not add up: {len(origins)} files came in, {len(ledger)} are listed; "
            f"unknown states {sorted(unknown)}, {lost} did not leave where they should. Please report this."
        )
