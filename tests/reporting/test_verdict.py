import math
from dataclasses import replace

import pytest

from pipeline.reporting.record import (
    CaptionRow,
    FunnelStep,
    LedgerRow,
    Metric,
    Resemblance,
    Right,
    RunRecord,
    TrainingPoint,
)
from pipeline.reporting.verdict import cautions, tone, verdict

LOSS = Metric("stable_loss", "held-out pictures", 0.182, 0.168, -0.014, -0.019, -0.009, higher_is_better=False)


@pytest.fixture
def bare(record: RunRecord) -> RunRecord:
    """The run before anything was done."""
    return RunRecord(
        run_id=record.run_id,
        name="toys",
        started=record.started,
        finished=record.finished,
        command="gesso run toys.yaml",
    )


def found(record: RunRecord, words: str) -> list[str]:
    return [caution for caution in cautions(record) if words in caution]


def test_a_whole_run(record):
    assert verdict(record) == (
        "Kept 31 of 47 files (27 to train on, 4 held out); 8 rejected, 5 duplicates, 2 unreadable and 1 dropped by a "
        "person. Training helped: stable loss of held-out pictures went from 0.182 to 0.168 (-0.014, 95 % interval "
        "-0.019 to -0.009; lower is better)."
    )
    assert tone(record) == "good"


def test_a_run_that_did_nothing_yet(bare):
    assert verdict(bare) == "This run left nothing to report."
    assert cautions(bare) == ()
    assert tone(bare) == "neutral"


def test_preparing_alone_says_nothing_of_training(bare):
    rows = [LedgerRow(f"{index}.png", "", "kept", "select") for index in range(30)]
    prepared = replace(bare, ledger=rows)
    assert verdict(prepared) == "Kept 30 of 30 files."
    assert cautions(prepared) == ()


@pytest.mark.parametrize(
    ("metric", "says", "sounds"),
    [
        (LOSS, "Training helped", "good"),
        (replace(LOSS, difference=0.014, low=0.009, high=0.019), "Training made it worse", "bad"),
        (replace(LOSS, high=0.001), "cannot be told apart from chance", "neutral"),
        (replace(LOSS, difference=None, low=None, high=None), "was not measured in pairs", "neutral"),
        (replace(LOSS, higher_is_better=None), "Training changed it", "neutral"),
    ],
)
def test_the_first_metric_decides(bare, metric, says, sounds):
    judged = replace(bare, metrics=[metric])
    assert says in verdict(judged)
    assert tone(judged) == sounds


def test_training_without_a_measure_is_said_to_be_unmeasured(bare):
    trained = replace(bare, training=[TrainingPoint(1, 0.5, 1e-4), TrainingPoint(2, 0.4, 1e-4)])
    assert verdict(trained) == "It trained for 2 steps; whether that helped was not measured."
    assert found(trained, "No picture was held out")


def test_training_that_broke_down(bare):
    broken = replace(bare, training=[TrainingPoint(1, 0.5, 1e-4), TrainingPoint(2, math.nan, 1e-4)], metrics=[LOSS])
    assert "broke down" in verdict(broken)
    assert tone(broken) == "bad"


def test_held_out_loss_that_rises_again_names_the_better_checkpoint(record):
    assert found(record, "lowest at step 200")
    falling = [row for row in record.stable_loss if row.step <= 200]
    assert not found(replace(record, stable_loss=falling), "lowest")


def test_files_that_a_stage_lost_are_told(bare):
    lost = replace(bare, funnel=[FunnelStep("read", 10, {"rejected": 2}), FunnelStep("select", 7, {})])
    assert found(lost, "1 file cannot be accounted for")
    assert not found(replace(bare, funnel=[FunnelStep("read", 10, {}), FunnelStep("select", 10, {})]), "accounted")


def test_waiting_for_people(bare):
    waiting = replace(bare, funnel=[FunnelStep("review", 40, {"awaiting_review": 3})])
    assert "3 waiting for review" in verdict(waiting)
    assert found(waiting, "3 files wait")


def test_copies_are_told_only_above_what_unseen_pictures_reach(bare):
    near, far = Resemblance(b"", "p", "s", 0.9, 0.8), Resemblance(b"", "p", "s", 0.7, 0.8)
    assert found(replace(bare, resemblances=[near, far]), "1 of 2 generated pictures")
    assert not found(replace(bare, resemblances=[far, replace(near, expected=None)]), "generated")


def test_the_other_measures_guard(record, bare):
    assert found(record, "Training made diversity of same prompt worse")
    assert not found(replace(bare, metrics=[LOSS]), "worse")


def test_few_pictures(bare):
    rows = [LedgerRow(f"{index}.png", "", "kept", "select") for index in range(19)]
    assert found(replace(bare, ledger=rows), "Only 19 pictures")
    assert found(replace(bare, ledger=[LedgerRow("x.png", "", "rejected", "select")]), "No picture is left")
    assert not found(replace(bare, ledger=[*rows, LedgerRow("x.png", "", "kept", "select")]), "Only")


def test_flagged_captions_that_nobody_read(bare):
    flagged = CaptionRow("s", "a.png", "a a a", None, "a a a", "blip", ("repeats",))
    assert found(replace(bare, captions=[flagged]), "1 flagged caption")
    assert not found(replace(bare, captions=[replace(flagged, reviewed="a dog")]), "flagged")


def test_rights_and_a_rule_that_takes_more_than_half(bare):
    rows = [LedgerRow(f"{index}.png", "", "rejected", "select", "sharpness__score", 0.1, 0.5) for index in range(6)]
    greedy = replace(bare, ledger=[*rows, *(LedgerRow(f"k{index}", "", "kept", "select") for index in range(4))])
    assert found(greedy, "sharpness: score, took 60 %")
    assert found(replace(bare, rights=[Right("unknown", 3, allowed=False)]), "3 files came without an allowed licence")


def test_alerts_are_ranked_by_harm_and_then_by_how_much_they_touch(bare):
    copy = Resemblance(b"", "p", "s", 0.9, 0.8)
    unread = CaptionRow("a", "a.png", "m", None, "m", "blip", ("flag",))
    rows = [FunnelStep("read", 100, {"quarantined": 10, "awaiting_review": 5, "rejected": 30})]
    troubled = replace(bare, funnel=rows, captions=[unread], rights=[Right("unknown", 30, allowed=False)])
    assert [one.split(" ", 2)[:2] for one in cautions(troubled)] == [
        ["1", "flagged"],  # what was learned wrongly stands before what is missing
        ["30", "files"],
        ["10", "files"],
        ["5", "files"],
    ]
    copied = replace(troubled, resemblances=[copy], training=[TrainingPoint(1, 0.5, 1e-4)])
    assert [one.split(" ", 3)[:3] for one in cautions(copied)][:3] == [
        ["1", "of", "1"],
        ["1", "flagged", "caption"],
        ["No", "picture", "was"],
    ]


def test_a_run_that_left_nothing_says_so_first(bare):
    empty = replace(bare, funnel=[FunnelStep("read", 40, {"quarantined": 40})], training=[TrainingPoint(1, 0.5, 1e-4)])
    assert cautions(empty)[0] == "No picture is left to learn from."
