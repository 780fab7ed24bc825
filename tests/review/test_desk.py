import multiprocessing
import os
import signal
import time
from contextlib import nullcontext

import pytest

from pipeline.errors import InputError, ReviewError
from pipeline.review import conflicts, desk, journal
from pipeline.review.desk import Desk, Wish, found, replaced
from pipeline.review.rows import Proposal

BODIES = ["a cat on a red sofa", "a dog in deep snow", "", "a small fish in a bowl"]


def proposals(bodies=BODIES):
    return [
        Proposal(
            sample_id=f"{n:016x}{n:048x}", pixel_id=f"p{n}", origin=f"{n}.jpg", split="train", body=body, source="blip"
        )
        for n, body in enumerate(bodies)
    ]


@pytest.fixture
def place(tmp_path):
    return tmp_path / "decisions"


@pytest.fixture
def opened(place):
    return lambda: Desk(proposals(), place, nullcontext)


def wish(row, caption=None, word="", note=""):
    return Wish(row.id, row.caption, row.version, row.caption if caption is None else caption, word, note)


def test_a_decision_is_in_the_journal_when_it_is_told(opened, place):
    one = opened()
    row = one.rows()[0]
    done = one.decide([wish(row, "Tom, asleep on it", "keep", "the best")], "anna")
    (said,) = journal.load(place).decisions
    assert (said.caption, said.verdict, said.note, said.reviewer) == ("Tom, asleep on it", "keep", "the best", "anna")
    assert (done.batch, done.decisions, done.conflicts) == (said.batch, 1, ())
    now = one.row(row.id)
    assert (now.caption, now.verdict, now.decided, now.note) == ("Tom, asleep on it", "keep", True, "the best")
    assert now.version != row.version
    assert one.rows() == opened().rows(), "what is in memory is what is on the disk"


def test_nothing_said_is_nothing_written(opened, place):
    one = opened()
    assert one.decide([wish(one.rows()[0])], "anna").batch is None
    assert not place.exists()


def test_a_stale_write_becomes_a_conflict_and_overwrites_nothing(opened, place):
    one = opened()
    row = one.rows()[0]
    one.decide([wish(row, "Anna's cat on a sofa")], "anna")
    done = one.decide([wish(row, "Bo's cat on a sofa")], "bo")
    assert (done.batch, [(c.reviewer, c.mine, c.theirs) for c in done.conflicts]) == (
        None,
        [("bo", "Bo's cat on a sofa", "Anna's cat on a sofa")],
    )
    now = one.row(row.id)
    assert (now.caption, now.decided) == ("Anna's cat on a sofa", False)
    assert now.candidates[:2] == ("Bo's cat on a sofa", "Anna's cat on a sofa")
    assert one.rows() == opened().rows()
    one.decide([wish(now, "the cat of both, on a sofa", "accept")], "bo")
    assert (one.row(row.id).caption, one.row(row.id).decided) == ("the cat of both, on a sofa", True)
    assert conflicts.waiting(place, journal.load(place)) == []
    assert one.rows() == opened().rows()


def test_the_same_by_two_is_agreement(opened, place):
    one = opened()
    row = one.rows()[0]
    for reviewer in ("anna", "bo"):
        assert one.decide([wish(row, "Tom, asleep on it")], reviewer).conflicts == ()
    assert [d.reviewer for d in journal.load(place).decisions] == ["anna", "bo"]


def test_what_another_process_wrote_is_seen(opened, place):
    one, other = opened(), opened()
    row = one.rows()[1]
    other.decide([wish(row, "a wolf in deep snow")], "bo")
    assert one.row(row.id).caption == "a wolf in deep snow"
    assert one.decide([wish(row, "a fox in deep snow")], "anna").conflicts[0].theirs == "a wolf in deep snow"


def test_undo_takes_back_ones_own_batch(opened, place):
    one = opened()
    rows = one.rows()
    done = one.decide([wish(rows[0], "first of them all"), wish(rows[1], "second of them all")], "anna")
    with pytest.raises(InputError, match="no such batch of yours"):
        one.undo(done.batch, "bo")
    assert one.undo(done.batch, "anna") == 2
    assert one.rows() == rows == opened().rows()
    with pytest.raises(InputError, match="no such batch"):
        one.undo(done.batch, "anna")


@pytest.mark.parametrize(
    ("number", "caption", "word", "problem"),
    [(0, " ", "", "was emptied"), (2, "", "accept", "no caption to accept")],
)
def test_what_cannot_be_meant(opened, number, caption, word, problem):
    one = opened()
    with pytest.raises(ReviewError, match=problem):
        one.decide([wish(one.rows()[number], caption, word)], "anna")


def test_a_picture_that_is_not_there(opened):
    one = opened()
    for ask in (one.row, lambda id_: one.draft(id_, "anna", "x")):
        with pytest.raises(InputError, match="no such picture"):
            ask("s-nothing")


def test_replacing_in_bulk_counts_as_unread_but_where_a_person_had_read(opened):
    one = opened()
    one.decide([wish(one.rows()[0], "a cat on a blue sofa")], "anna")
    wishes = replaced(one.rows(), "a ", "one ")
    assert [w.caption for w in wishes] == [
        "one cat on one blue sofa", "one dog in deep snow", "one small fish in one bowl",
    ]  # fmt: skip
    done = one.decide(wishes, "anna", bulk=True)
    assert done.decisions == 3
    assert [(row.caption, row.read) for row in one.rows()] == [
        ("one cat on one blue sofa", True),
        ("one dog in deep snow", False),
        ("", True),
        ("one small fish in one bowl", False),
    ]
    assert one.undo(done.batch, "anna") == 3
    assert replaced(one.rows(), "", "x") == replaced(one.rows(), "zebra", "x") == []


def test_find_by_text_flag_and_state(opened, place):
    one = opened()
    rows = one.rows()
    one.decide([wish(rows[0], word="drop")], "anna")
    one.decide([wish(rows[1], word="unsure", note="Wolf?")], "anna")
    one.decide([wish(rows[3], word="accept")], "anna")

    def ids(**how):
        return [int(row.sample_id[:16], 16) for row in found(one.rows(), **how)]

    assert ids() == [0, 1, 2, 3]
    assert ids(search="SNOW") == ids(search="wolf") == ids(state="unsure") == ids(state="noted") == [1]
    assert ids(flag="no caption") == [2]
    assert ids(state="dropped") == [0]
    assert ids(state="undecided") == [1, 2]
    assert ids(state="decided", search="3.jpg") == [3]
    assert ids(state="in conflict") == ids(state="unread") == ids(state="kept") == []
    assert set(desk.STATES) >= {"all", "kept", "unread", "in conflict"}


def test_drafts_are_kept_until_they_are_decided(opened, place):
    one = opened()
    row, other, *_ = one.rows()
    for text in ("T", "To", "Tom"):
        one.draft(row.id, "anna", text)
    one.draft(other.id, "anna", "x")
    one.draft(other.id, "anna", None)
    assert opened().drafts("anna") == {row.id: "Tom"}
    assert opened().drafts("bo") == {}
    one.decide([wish(row, "Tom, asleep on it")], "anna")
    assert opened().drafts("anna") == {}


def _write(place, ready):
    """Decide and type without end, saying after each what is on the disk."""
    one = Desk(proposals(), place, nullcontext)
    for number in range(100_000):
        row = one.rows()[0]
        one.decide([wish(row, f"caption number {number}")], "anna")
        one.draft(one.rows()[1].id, "anna", f"typing number {number}")
        ready.value = number


@pytest.mark.parametrize("after", [0.2, 0.35, 0.5])
def test_a_killed_server_loses_nothing_that_it_acknowledged(place, after):
    spawn = multiprocessing.get_context("spawn")
    told = spawn.Value("q", -1)
    process = spawn.Process(target=_write, args=(place, told))
    process.start()
    while told.value < 1:
        time.sleep(0.01)
    time.sleep(after)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    acknowledged = told.value
    one = Desk(proposals(), place, nullcontext)
    caption, typed = one.rows()[0].caption, one.drafts("anna")[one.rows()[1].id]
    assert int(caption.rpartition(" ")[2]) in (acknowledged, acknowledged + 1)
    assert int(typed.rpartition(" ")[2]) in (acknowledged, acknowledged + 1)
