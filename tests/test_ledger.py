import pytest

from pipeline import ledger
from pipeline.errors import GessoError
from pipeline.manifest import table_of


def row(origin, state, stage=None):
    return {"origin": origin, "state": state, "stage": stage}


LEDGER = [
    row("a", "kept"),
    row("b", "rejected", "quality"),
    row("c", "rejected", "rights"),
    row("d", "quarantined", "ingest"),
    row("e", "held_out"),
    row("f", "duplicate", "dedup"),
    row("g", "dropped_by_person", "person"),
    row("h", "awaiting_review", "review"),
    row("i", "rejected", "quality"),
]
ORIGINS = [{"origin": one["origin"]} for one in LEDGER]


def test_totals_come_in_the_order_of_states():
    assert list(ledger.totals(LEDGER).items()) == [
        ("kept", 1),
        ("held_out", 1),
        ("duplicate", 1),
        ("rejected", 3),
        ("quarantined", 1),
        ("dropped_by_person", 1),
        ("awaiting_review", 1),
    ]
    assert ledger.totals([]) == {}


def test_the_funnel_counts_down_to_what_stayed():
    assert ledger.funnel(LEDGER) == [
        ("ingest", 9, {"quarantined": 1}),
        ("rights", 8, {"rejected": 1}),
        ("person", 7, {"dropped_by_person": 1}),
        ("quality", 6, {"rejected": 2}),
        ("dedup", 4, {"duplicate": 1}),
        ("caption", 3, {}),
        ("review", 3, {"awaiting_review": 1}),
    ]


def test_a_ledger_that_adds_up_passes():
    ledger.check(LEDGER, ORIGINS)
    ledger.check([], [])


@pytest.mark.parametrize(
    "wrong",
    [
        LEDGER[:-1],
        [*LEDGER, row("z", "kept")],
        [*LEDGER[:-1], row("a", "kept")],
        [*LEDGER[:-1], row("i", "lost", "quality")],
        [*LEDGER[:-1], row("i", "rejected")],
        [*LEDGER[:-1], row("i", "rejected", "training")],
        [*LEDGER[:-1], row("i", "kept", "quality")],
    ],
    ids=["missing", "extra", "twice", "state", "no stage", "unknown stage", "kept at a stage"],
)
def test_a_ledger_that_does_not_is_never_trained_on(wrong):
    with pytest.raises(GessoError, match="does not add up"):
        ledger.check(wrong, ORIGINS)


def test_a_row_fits_the_schema():
    table = table_of([{"origin": "a", "state": "kept"}], ledger.LEDGER)
    assert table.column_names == [
        *("origin", "sample_id", "state", "stage", "reason", "value", "limit", "kept_instead"),
    ]
