import pytest

from pipeline.errors import ReviewError
from pipeline.review import drafts, journal
from pipeline.review.journal import Decision, Journal


def decided(pixel_id, reviewer="anna"):
    return Decision(pixel_id=pixel_id, reviewer=reviewer, at=journal.now(), caption="done")


def test_the_last_thing_typed_stays(tmp_path):
    for text in ("a", "a c", "a cat\n\ud800"):
        drafts.append(tmp_path, "anna", "p", text)
    assert drafts.load(tmp_path, "anna", Journal()) == {"p": "a cat\n\ud800"}
    assert (tmp_path / drafts.FOLDER / "anna.jsonl").read_bytes().count(b"\n") == 3
    drafts.append(tmp_path, "anna", "p", None)
    assert drafts.load(tmp_path, "anna", Journal()) == {}


def test_ones_own_decision_ends_a_draft_and_nobody_elses(tmp_path):
    drafts.append(tmp_path, "anna", "p", "a")
    drafts.append(tmp_path, "anna", "q", "b")
    said = Journal((decided("p"), decided("q", "bo")))
    assert drafts.load(tmp_path, "anna", said) == {"q": "b"}
    drafts.append(tmp_path, "anna", "p", "again")
    assert drafts.load(tmp_path, "anna", said) == {"p": "again", "q": "b"}


def test_a_torn_line_loses_no_other(tmp_path):
    drafts.append(tmp_path, "anna", "p", "a")
    path = tmp_path / drafts.FOLDER / "anna.jsonl"
    path.write_bytes(path.read_bytes() + b'{"pixel_id": "q", "a')
    drafts.append(tmp_path, "anna", "r", "c")
    assert drafts.load(tmp_path, "anna", Journal()) == {"p": "a", "r": "c"}
    assert journal.load(tmp_path) == Journal(), "drafts are no decisions"


def test_a_reviewer_cannot_escape_the_folder(tmp_path):
    for use in (lambda: drafts.append(tmp_path, "../bo", "p", "x"), lambda: drafts.load(tmp_path, "../bo", Journal())):
        with pytest.raises(ReviewError, match="names a file"):
            use()
