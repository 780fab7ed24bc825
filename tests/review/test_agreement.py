import pytest

from pipeline.review.agreement import agreements
from pipeline.review.conflicts import Conflict
from pipeline.review.journal import Decision, Journal


def said(reviewer, number, minute=0, **what):
    at = f"2025-01-31T09:{minute:02}:00+00:00"
    return Decision(pixel_id=f"p{number}", reviewer=reviewer, at=at, **what)


def test_captions_and_verdicts_are_compared_where_both_judged():
    told = [
        said("anna", 0, caption="a red cat"), said("bo", 0, caption="a red cat "),
        said("anna", 1, caption="a red cat"), said("bo", 1, caption="a cat"),
        said("anna", 2, verdict="drop"), said("bo", 2, verdict="drop"),
        said("anna", 3, verdict="drop"), said("bo", 3, caption="fine"),
        said("anna", 4, caption="alone"), said("bo", 5, note="no judgement"), said("anna", 5, caption="alone"),
    ]  # fmt: skip
    (found,) = agreements(Journal(tuple(told)), [])
    assert (found.first, found.second, found.pictures) == ("anna", "bo", 4)
    assert (found.captions, found.same_captions) == (2, 1)
    assert found.words == pytest.approx((1 + 2 / 3) / 2)
    assert (found.verdicts, found.same_verdicts) == (2, 1)
    # by hand: agreed 3 of 4; anna drops half, bo a quarter: chance is 1/8 + 3/8
    assert found.kappa == pytest.approx((3 / 4 - 1 / 2) / (1 - 1 / 2))
    assert found.told() == (
        "anna and bo both judged 4 pictures; the same caption for 1 of 2 (83% of the words); "
        "agreed on keeping or dropping 1 of 2 (kappa 0.50)"
    )


def test_what_was_said_first_counts_and_what_was_overtaken_is_said_too():
    told = [
        said("anna", 0, caption="a cat"),
        said("bo", 0, minute=9, caption="a cat"),
        said("cy", 0, caption="a cat", read=False),
    ]
    overtaken = Conflict(
        pixel_id="p0", reviewer="bo", at="2025-01-31T09:05:00+00:00", seen="x", mine="a dog", theirs="a cat"
    )
    (found,) = agreements(Journal(tuple(told)), [overtaken])
    assert (found.captions, found.same_captions, found.kappa) == (1, 0, None)


def test_nobody_else():
    assert agreements(Journal((said("anna", 0, caption="a cat"), said("bo", 1, caption="a dog"))), []) == []
