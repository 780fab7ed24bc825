import pytest

from pipeline import ledger
from pipeline.errors import AwaitingReview
from pipeline.manifest import table_of
from pipeline.steps import review
from pipeline.steps.caption import CAPTIONS
from pipeline.steps.select import load_kept

BEFORE = ("ingest", "measure", "select", "caption")
SIDECAR = {"captioner": "sidecar"}
ALL = {"require": "all", "undecided": "wait"}


@pytest.fixture
def captioned(begun):
    """Begins a run with sidecar captions that is done up to the review."""
    return lambda **changes: begun(caption=SIDECAR, **changes).go(*BEFORE)


def states(made):
    return ledger.totals(made.run.rows("ledger"))


def test_without_a_gate_all_captions_stand(finished):
    rows = finished.named("reviewed")
    assert len(rows) == 12
    proposed = {row["sample_id"]: row["body"] for row in finished.run.rows("captions")}
    for row in rows.values():
        assert row["caption"] == row["proposed"] == proposed[row["sample_id"]]
        assert not row["decided"]
    assert finished.said["review"] == "0 of 12 captions decided by people, 0 left out"
    assert "awaiting_review" not in states(finished)


def test_the_gate_waits_with_the_ledger_marked_and_says_what_to_do(captioned):
    made = captioned(review=ALL)
    with pytest.raises(AwaitingReview) as caught:
        made.go("review")
    assert caught.value.exit_code == 3
    assert "12 of 12 captions wait for a person" in str(caught.value)
    assert "gesso review export" in str(caught.value)
    assert states(made) == {"duplicate": 1, "quarantined": 1, "awaiting_review": 12}
    marked = [row for row in made.ledger.values() if row["state"] == "awaiting_review"]
    assert {(row["stage"], row["reason"]) for row in marked} == {("review", "undecided caption")}
    assert len(made.run.rows("reviewed")) == 12


def test_decisions_let_the_same_run_go_on(captioned):
    made = captioned(review=ALL)
    before = made.run.rows("ledger")
    with pytest.raises(AwaitingReview):
        made.go("review")
    names = [name for name, row in made.ledger.items() if row["state"] == "awaiting_review"]
    for name in names[:-1]:
        made.decide(name, caption=f"what {name} shows")
    with pytest.raises(AwaitingReview, match="1 of 12 captions wait"):
        made.go("review")
    assert states(made)["awaiting_review"] == 1
    made.decide(names[-1], caption="the last")
    made.go("review")
    assert made.said["review"] == "12 of 12 captions decided by people, 0 left out"
    assert made.run.rows("ledger") == before
    made.go("trainset")
    captions = {row["caption"] for row in made.run.rows("views")}
    assert captions == {f"what {name} shows" for name in names[:-1]} | {"the last"}


def test_decisions_let_the_next_run_go_on(captioned, begun):
    made = captioned(review=ALL)
    for name in made.named("captions"):
        made.decide(name, caption=f"what {name} shows")
    again = begun(caption=SIDECAR, review=ALL).go(*BEFORE, "review")
    assert {row["caption"] for row in again.run.rows("reviewed")} == {
        f"what {name} shows" for name in again.named("reviewed")
    }
    assert all(row["decided"] for row in again.run.rows("reviewed"))


def test_exclude_leaves_the_undecided_out_until_they_are_decided(captioned):
    made = captioned(review={"require": "all", "undecided": "exclude"})
    trained = [name for name, row in made.ledger.items() if row["state"] == "kept"]
    made.decide(trained[0], caption="a thing")
    made.go("review", "trainset")
    assert made.said["review"] == "1 of 12 captions decided by people, 11 left out"
    assert states(made)["awaiting_review"] == 11
    assert [row["caption"] for row in made.run.rows("views")] == ["a thing", "a thing"]
    made.decide(trained[1], caption="another thing")
    made.go("review", "trainset")
    assert {row["caption"] for row in made.run.rows("views")} == {"a thing", "another thing"}
    assert states(made)["awaiting_review"] == 10


def test_only_what_is_flagged_waits_where_the_recipe_says_so(captioned):
    made = captioned(review={"require": "flagged", "undecided": "wait"})
    with pytest.raises(AwaitingReview, match="4 of 12 captions wait"):
        made.go("review")
    waiting = {name for name, row in made.ledger.items() if row["state"] == "awaiting_review"}
    assert waiting == {"08.png", "09.png", "10.png", "11.png"}
    assert {tuple(made.named("reviewed")[name]["flags"]) for name in waiting} == {("no caption",)}


def test_a_dropped_picture_stays_dropped_and_is_still_shown(begun):
    first = begun(caption=SIDECAR).go("ingest", "measure")
    first.decide("03.png", verdict="drop")
    for made in (first.go("select", "caption", "review"), begun(caption=SIDECAR).go(*BEFORE, "review")):
        assert made.ledger["03.png"]["state"] == "dropped_by_person"
        assert "03.png" not in made.named("reviewed")
        shown = {row.origin.rpartition("/")[2]: row for row in review.rows_of(made.run)}
        assert shown["03.png"].verdict == "drop"
        assert len(shown) == 12
    first.decide("03.png", verdict="keep")
    assert "03.png" in begun(caption=SIDECAR).go(*BEFORE, "review").named("reviewed")


def test_what_is_dropped_while_the_run_is_under_way_leaves_it_too(captioned):
    made = captioned()
    name = next(name for name, row in made.ledger.items() if row["state"] == "kept")
    made.decide(name, verdict="drop")
    made.go("review", "trainset")
    row = made.ledger[name]
    assert (row["state"], row["stage"], row["reason"]) == ("dropped_by_person", "review", "dropped in review")
    assert name not in made.named("reviewed")
    assert name not in made.named("views")
    assert len(list(load_kept(made.run))) == 12
    made.decide(name, verdict="keep")
    made.go("review", "trainset")
    assert name in made.named("views")


def test_a_persons_caption_stands_over_another_captioner(captioned, begun):
    captioned().decide("08.png", caption="a person's own words")
    made = begun(caption={"captioner": "blip", "prefer_sidecar": False}).go(*BEFORE, "review")
    row = made.named("reviewed")["08.png"]
    assert (row["caption"], row["source"], row["decided"]) == ("a person's own words", "person", True)
    assert row["proposed"] != row["caption"]
    assert made.named("reviewed")["09.png"]["source"] == "blip starter"


def test_a_picture_that_the_captioner_failed_with_leaves_until_a_person_captions_it(captioned):
    made = captioned()
    rows = made.run.rows("captions")
    lost = made.named("captions")["03.png"]["sample_id"]
    for row in rows:
        if row["sample_id"] == lost:
            row.update(body="", error="timeout: no answer within 60 s")
    made.run.save("captions", table_of(rows, CAPTIONS))
    before = made.ledger["03.png"]
    made.go("review")
    left = made.ledger["03.png"]
    assert (left["state"], left["stage"], left["reason"]) == ("quarantined", "caption", "timeout")
    assert left["value"] == "no answer within 60 s"
    assert {name for name, row in made.ledger.items() if row["stage"] == "caption"} == {"03.png"}
    made.decide("03.png", caption="a dog")
    made.go("review")
    assert made.ledger["03.png"] == before
