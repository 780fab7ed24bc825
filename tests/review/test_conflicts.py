from dataclasses import replace

import pytest

from pipeline.review import conflicts, journal
from pipeline.review.apply import Applying, apply, changes
from pipeline.review.conflicts import Conflict
from pipeline.review.journal import Decision
from pipeline.review.rows import Proposal, review_rows
from pipeline.review.table import EditedRow

AT, LATER, LAST = (f"2025-01-31T{hour}:00:00+00:00" for hour in ("09", "10", "11"))


def conflict(**said):
    told = {
        "pixel_id": "p0",
        "reviewer": "bo",
        "at": LATER,
        "seen": "a cat",
        "mine": "Bo's cat",
        "theirs": "Anna's cat",
    }
    return Conflict(**told | said)


def said(at=LAST, **what):
    return Decision(pixel_id="p0", reviewer="cy", at=at, **what)


def rows(folder):
    made = [Proposal(sample_id="0" * 64, pixel_id="p0", origin="0.jpg", split="train", body="a cat", source="blip")]
    told = journal.load(folder)
    contested = {one.pixel_id for one in conflicts.waiting(folder, told)}
    return review_rows(made, told.latest(), contested=contested)


def test_from_an_overtaken_edit_to_a_persons_choice(tmp_path):
    (before,) = rows(tmp_path)
    journal.append(tmp_path, [Decision(pixel_id="p0", reviewer="anna", at=AT, caption="Anna's cat")])
    edited = EditedRow(2, before.id, "a cat", "Bo's cat", base=before.version)
    found = changes(rows(tmp_path), [edited], journal.load(tmp_path), Applying("bo", LATER))
    conflicts.append(tmp_path, map(conflicts.of, found.conflicts))
    assert conflicts.waiting(tmp_path, journal.load(tmp_path)) == [conflict()]
    (row,) = rows(tmp_path)
    assert (row.caption, row.decided, row.flags[-1]) == ("Anna's cat", False, "in conflict")
    shown = conflicts.shown(row, conflicts.load(tmp_path))
    assert shown.candidates == ("Bo's cat", "Anna's cat", "a cat")
    assert shown.flags[-1] == """bo wrote "Bo's cat", here stood "Anna's cat\""""
    # anna says again what she said: that is a choice
    chosen = EditedRow(2, row.id, row.caption, row.caption, "accept", base=row.version)
    how = Applying("anna", LAST, contested={"p0"})
    assert apply(changes([row], [chosen], journal.load(tmp_path), how), tmp_path, batch="b") == 1
    assert conflicts.waiting(tmp_path, journal.load(tmp_path)) == []
    (row,) = rows(tmp_path)
    assert (row.caption, row.decided, row.flags) == ("Anna's cat", True, ("very short",))


@pytest.mark.parametrize(
    ("decision", "waits"),
    [
        (said(caption="Tom"), False),
        (said(caption="Tom", read=False), True),
        (said(verdict="keep"), True),
        (said(note="hm"), True),
        (said(at=AT, caption="Tom"), True),
    ],
)
def test_a_caption_waits_for_a_caption_that_was_read(tmp_path, decision, waits):
    conflicts.append(tmp_path, [conflict()])
    journal.append(tmp_path, [decision])
    assert bool(conflicts.waiting(tmp_path, journal.load(tmp_path))) == waits


def test_a_verdict_waits_for_a_verdict(tmp_path):
    conflicts.append(tmp_path, [conflict(mine=None, mine_verdict="drop", theirs_verdict="keep")])
    journal.append(tmp_path, [said(caption="Tom")])
    assert len(conflicts.waiting(tmp_path, journal.load(tmp_path))) == 1
    (row,) = rows(tmp_path)
    assert conflicts.shown(row, conflicts.load(tmp_path)).flags[-1] == "bo said drop, here stood keep"
    journal.append(tmp_path, [said(verdict="drop")])
    assert conflicts.waiting(tmp_path, journal.load(tmp_path)) == []


def test_the_same_conflict_is_written_once_and_a_torn_line_is_left_out(tmp_path):
    for at in (LATER, LAST):
        conflicts.append(tmp_path, [replace(conflict(), at=at)])
    path = tmp_path / conflicts.FOLDER / "bo.jsonl"
    assert path.read_bytes().count(b"\n") == 1
    path.write_bytes(path.read_bytes() + b'{"pixel_id": "p1", "rev')
    assert conflicts.load(tmp_path) == [conflict()]
    assert journal.load(tmp_path) == journal.Journal(), "conflicts are no decisions"
