from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.reporting.facts import facts
from pipeline.reporting.planted import compare
from pipeline.reporting.record import CaptionRow, LedgerRow, Planted
from pipeline.reporting.report import html

STAYS = ("kept", "held_out")


@pytest.fixture
def held(record):
    """The comparison for files given as (name, kind, of, states, state, kept_instead), and names flagged."""

    def compare_(*files, flagged=()):
        return compare(
            replace(
                record,
                planted=[Planted(name, kind, of, states) for name, kind, of, states, _, _ in files],
                ledger=[
                    LedgerRow(f"a/b/{name}", f"id of {name}", state, "", "why", kept_instead=f"id of {kept}")
                    for name, _, _, _, state, kept in files
                ],
                captions=[CaptionRow("s", f"a/b/{name}", "", None, "", "blip", ("odd",)) for name in flagged],
            )
        )

    return compare_


def good(name, state="kept", kept=""):
    return (name, "good", None, STAYS, state, kept)


def bad(name, state, kind="blurred"):
    return (name, kind, None, ("rejected",), state, "")


def copy(name, state, kept="", of="good"):
    return (name, "copy", of, ("duplicate",), state, kept)


def by_name(kinds):
    return {one.name: (one.right, one.planted) for one in kinds}


def test_recall_and_precision_of_a_small_folder(held):
    found = held(
        *(good(f"g{at}") for at in range(6)), good("lost", "rejected"),
        bad("b1", "rejected"), bad("b2", "rejected"), bad("b3", "kept"), bad("b4", "held_out"),
    )  # fmt: skip
    assert by_name(found.kinds) == {"good": (6, 7), "blurred": (2, 4)}
    assert found.recall == 2 / 4
    assert found.precision == 2 / 3
    assert [truth.file for truth, _ in found.missed] == ["b3", "b4"]
    assert [truth.file for truth, _ in found.lost] == ["lost"]
    assert [(one.state, one.files, one.right) for one in found.reasons] == [("rejected", 3, 2)]
    assert found.kinds[1].ended == (("rejected", 2), ("kept", 1), ("held_out", 1))


def test_leaving_for_another_reason_is_not_what_was_asked_for(held):
    found = held(bad("b", "quarantined"))
    assert (found.recall, found.precision) == (0, 0)


@pytest.mark.parametrize(
    ("files", "right"),
    [
        ((good("good"), copy("copy", "duplicate", "good")), True),
        ((good("good", "duplicate", "copy"), copy("copy", "kept")), True),
        ((good("good"), copy("copy", "kept")), False),
        ((good("good"), copy("copy", "rejected")), False),
    ],
)
def test_of_a_copy_and_its_original_one_leaves_whichever_it_is(held, files, right):
    found = held(*files)
    assert by_name(found.kinds) == {"good": (1, 1), "copy": (int(right), 1)}
    assert found.precision == (1 if right or files[1][4] == "kept" else 0)


def test_a_good_picture_that_gave_way_to_another_good_one_is_lost(held):
    found = held(good("good", "duplicate", "other"), good("other"))
    assert [truth.file for truth, _ in found.lost] == ["good"]
    assert found.precision == 0


def test_a_wrong_caption_is_caught_where_it_is_flagged(held):
    wrong = [(name, "wrong caption", None, ("flagged",), "kept", "") for name in ("w1", "w2")]
    found = held(*wrong, good("g"), flagged=("w1", "g"))
    assert by_name(found.kinds) == {"wrong caption": (1, 2), "good": (1, 1)}
    assert [(one.state, one.files, one.right) for one in found.reasons] == [("flagged", 2, 1)]
    assert found.precision == 1  # a flag takes nothing out


def test_what_ought_to_stay_is_no_trouble(held):
    found = held(("m", "wrong extension", None, STAYS, "kept", ""), bad("b", "rejected"))
    assert found.recall == 1
    assert [one.is_trouble for one in found.kinds] == [False, True]


def test_without_truth_there_is_nothing_to_say(record):
    assert compare(replace(record, planted=())) is None
    assert compare(replace(record, ledger=())) is None
    assert "caught" not in facts(replace(record, planted=()))
    assert "What was planted" not in html(replace(record, planted=()))


def test_the_page_and_the_facts_tell_it(record):
    page, told = html(record), facts(record)["caught"]
    assert told["recall"] == 3 / 4
    assert told["kinds"]["blurred"] == {"planted": 2, "right": 1}
    assert "75 % of the trouble was caught" in page
    assert record.about in page
    assert "blurred: sigma 5 px; kept" in page


@given(
    states=st.lists(st.sampled_from(["kept", "held_out", "duplicate", "rejected", "quarantined"]), min_size=1),
    wanted=st.sampled_from([STAYS, ("rejected",), ("duplicate", "rejected")]),
)
def test_every_file_counts_once_as_right_or_wrong(record, states, wanted):
    names = [f"f{at}" for at in range(len(states))]
    found = compare(
        replace(
            record,
            planted=[Planted(name, "kind", None, wanted) for name in names],
            ledger=[LedgerRow(name, name, state, "") for name, state in zip(names, states, strict=True)],
            captions=(),
        )
    )
    (kind,) = found.kinds
    assert kind.planted == len(states) == sum(many for _, many in kind.ended)
    assert kind.right == sum(state in wanted for state in states) == len(states) - len(found.missed) - len(found.lost)
    assert sum(one.files for one in found.reasons) == sum(state not in STAYS for state in states)


def test_a_caption_that_people_put_right_was_caught_and_one_that_they_left_was_not(record):
    names = ("right", "left", "unread", "fine")
    found = compare(
        replace(
            record,
            planted=[
                *(Planted(f"{name}.png", "wrong caption", None, ("flagged", "rejected")) for name in names[:3]),
                Planted("fine.png", "good", None, STAYS),
            ],
            ledger=[LedgerRow(f"a/{name}.png", name, "kept", "", "") for name in names],
            captions=[
                CaptionRow("right", "a/right.png", "wrong", "mended", "ann", "sidecar", ()),
                CaptionRow("left", "a/left.png", "wrong", "wrong", "ann", "sidecar", ("odd",)),
                CaptionRow("fine", "a/fine.png", "clumsy", "better", "ann", "blip", ()),
            ],
        )
    )
    assert by_name(found.kinds) == {"wrong caption": (1, 3), "good": (1, 1)}
    assert {one.name: dict(one.ended) for one in found.kinds} == {
        "wrong caption": {"corrected": 1, "kept": 2},
        "good": {"kept": 1},
    }
    assert [truth.file for truth, _ in found.missed] == ["left.png", "unread.png"]
    assert found.precision == 1.0
