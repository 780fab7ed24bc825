from pipeline.review.history import Proposed, of, values
from pipeline.review.journal import Decision
from pipeline.review.versions import version

BLIP = {"captioner": "blip", "model": "starter", "settings": {"num_beams": 3}, "seed": 0}


def proposed(body, day, *, run="one", made=BLIP, **more):
    return Proposed(run=run, at=f"2026-01-0{day}T10:00:00+00:00", body=body, source="blip starter", made=made, **more)


def decided(caption, day, *, proposed=None, by="ann", **more):
    at = f"2026-01-0{day}T12:00:00+00:00"
    return Decision(pixel_id="p", reviewer=by, at=at, caption=caption, proposed=proposed, **more)


def test_from_the_machine_by_hygiene_to_two_people():
    found = of(
        "p",
        [proposed("a cat", 1, said="a picture of a cat", changes=("took out “a picture of”",))],
        [
            decided("a red cat", 2, proposed="a cat"),
            decided("a cat on a mat", 3, proposed="a red cat", by="bo", note="mat"),
        ],
    )
    assert [(one.by, one.text) for one in found] == [
        ("blip", "a picture of a cat"),
        ("hygiene", "a cat"),
        ("person:ann", "a red cat"),
        ("person:bo", "a cat on a mat"),
    ]
    assert [one.parent for one in found] == [None, *(one.id for one in found[:-1])]
    assert found[0].told == {"run": "one", **BLIP}
    assert found[1].told == {"changes": ["took out “a picture of”"]}
    assert found[3].told == {"note": "mat"}
    assert found[2].at == "2026-01-02T12:00:00+00:00"
    assert found[2].id == version("p", "a red cat", None)
    assert values(found)[3]["parent"] == found[2].id


def test_a_later_captioner_proposes_beside_what_a_person_decided():
    other = {**BLIP, "seed": 1}
    found = of(
        "p",
        [proposed("a dog", 3, run="two", made=other), proposed("a cat", 1)],
        [decided("a fox", 2, proposed="a cat")],
    )
    assert [(one.text, one.parent) for one in found] == [("a cat", None), ("a fox", found[0].id), ("a dog", None)]


def test_the_same_proposal_of_another_run_is_told_once_unless_it_was_made_otherwise():
    again = [proposed("a cat", day, run="same") for day in (1, 2, 3)]
    assert len(of("p", again, [])) == 1


def test_a_verdict_alone_and_an_unread_acceptance_say_of_which_text():
    found = of(
        "p",
        [proposed("a cat", 1)],
        [decided(None, 2, verdict="keep"), decided("a cat", 3, proposed="a cat", read=False), decided(None, 4)],
    )
    assert [(one.text, one.told) for one in found[1:]] == [
        ("a cat", {"verdict": "keep"}),
        ("a cat", {"read": "unread"}),
    ]
    assert all(one.parent == found[0].id for one in found[1:])


def test_decisions_about_other_pictures_play_no_part():
    other = Decision(pixel_id="q", reviewer="ann", at="2026-01-01T00:00:00+00:00", caption="x")
    assert of("p", [], [other]) == []
    assert [one.parent for one in of("p", [], [decided("a cat", 1)])] == [None]
