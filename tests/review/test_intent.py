from dataclasses import replace

import pytest

from pipeline.errors import ReviewError
from pipeline.review.intent import moved, read
from pipeline.review.problems import Problems
from pipeline.review.rows import Proposal, review_rows
from pipeline.review.table import EditedRow


def row(body, number=0):
    made = Proposal(
        sample_id=f"{number:064x}", pixel_id=f"p{number}", origin="x.jpg", split="train", body=body, source="blip"
    )
    return review_rows([made], {})[0]


def got(row, **cells):
    told = {"line": 2, "id": row.id, "before": row.caption, "caption": row.caption, "base": row.version}
    return EditedRow(**told | cells)


def meant(row, known=(), **cells):
    problems = Problems("r.csv")
    found = read(got(row, **cells), row, known, problems)
    problems.raise_if_any()
    return found


def test_an_untouched_row_means_what_was_seen():
    one = meant(row("a cat"))
    assert (one.seen, one.caption, one.is_edit, one.repaired, one.cosmetic) == ("a cat", "a cat", False, "", False)


def test_a_control_character_is_a_mark_in_a_cell_and_may_be_mended_there():
    shown = {"before": "a\ufffdcat", "caption": "a\ufffdcat"}
    assert not meant(row("a\x0bcat"), **shown).is_edit
    assert meant(row("a\x0bcat"), **shown | {"caption": "a cat"}).caption == "a cat"


def test_what_was_seen_is_found_among_captions_of_old():
    old, new = row("Łódź"), row("a town")
    cells = {"before": "?ód?", "caption": "?ód?", "base": old.version}
    assert meant(new, ["Łódź"], **cells).seen == "Łódź"
    with pytest.raises(ReviewError, match="do not belong together"):
        meant(new, **cells)


def test_moved_captions():
    rows = [row("a cat", 0), row("a dog", 1), row("a fish", 2)]
    shifted = [meant(one, caption=text) for one, text in zip(rows, ["a bird", "a cat", "a dog"], strict=True)]
    assert [(one.seen, other.seen) for one, other in moved(shifted)] == [("a dog", "a cat"), ("a fish", "a dog")]
    twins = [row("a cat", 3), row("a cat", 4)]
    far = [replace(meant(one, caption=text), got=replace(got(one), line=line)) for one, text, line in (
        (rows[1], "a cat", 9), (twins[0], "a bird", 3), (twins[1], "a fox", 4)
    )]  # fmt: skip
    assert moved(far) == []
    assert len(moved([replace(far[0], got=replace(far[0].got, line=5)), *far[1:]])) == 1
    assert moved([meant(one, caption="a bird") for one in rows]) == []
