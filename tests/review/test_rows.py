import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.review.journal import Decision
from pipeline.review.rows import Proposal, flags, review_rows


def proposal(number=0, **said):
    defaults = {
        "sample_id": f"s{number}",
        "pixel_id": f"p{number}",
        "origin": f"cats/{number}.jpg",
        "split": "train",
        "body": "a grey cat asleep",
        "source": "blip starter@1",
    }
    return Proposal(**defaults | said)


def decision(pixel_id="p0", **said):
    return Decision(pixel_id=pixel_id, reviewer="anna", at="2025-01-31T09:00:00+00:00", **said)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("a grey cat asleep on a red sofa", ()),
        ("", ("no caption",)),
        (" \n", ("no caption",)),
        ("a cat", ("very short",)),
        ("a picture of something", ("names nothing",)),
        ("IMG_2041 photo 7", ("names nothing",)),
        ("a cat cat cat cat", ("repeats itself",)),
        ("a red ball and a red cube on a red floor by the sea", ()),
        ("a cafÃ© in Paris", ("broken characters",)),
        ("a café in São Paulo", ()),
        ("it\u2019s a dog\ufffd", ("broken characters",)),
        ("cat " + " ".join(f"word{i}" for i in range(60)), ("very long",)),
        ("灰色の猫がソファで眠る", ()),
    ],
)
def test_flags(body, expected):
    assert flags(body) == expected


def test_flags_by_comparison():
    assert flags("a grey cat asleep", sidecar="a dog in the snow") == ("differs from sidecar",)
    assert flags("a grey cat asleep", sidecar="Cat") == ()
    assert flags("a grey cat asleep", sidecar="") == ()
    assert flags("a grey cat asleep", alike=3) == ("same caption as others",)


@given(st.text(), st.none() | st.text(), st.integers(1, 9))
def test_flags_of_any_text(body, sidecar, alike):
    found = flags(body, sidecar=sidecar, alike=alike)
    assert len(set(found)) == len(found)
    assert ("no caption" in found) == (not body.strip())


def test_only_a_machine_is_blamed_for_one_caption_for_all():
    machine = review_rows([proposal(n, body=f"A  grey cat{'.' * n} asleep") for n in range(3)], {})
    sidecar = review_rows([proposal(n, source="sidecar") for n in range(3)], {})
    mixed = review_rows([*map(proposal, range(3)), proposal(3, source="sidecar")], {})
    assert {row.flags for row in machine} == {("same caption as others",)}
    assert {row.flags for row in sidecar} == {()}
    assert [bool(row.flags) for row in mixed] == [True, True, True, False]


def test_a_person_outranks_the_machine():
    (row,) = review_rows([proposal()], {"p0": decision(caption="Tom, asleep at last", proposed="a cat")})
    assert (row.caption, row.source, row.proposed) == ("Tom, asleep at last", "person", "a grey cat asleep")
    assert row.decided
    assert row.flags == ("proposed anew since",)
    (row,) = review_rows([proposal()], {"p0": decision(caption="Tom, asleep at last", proposed="a grey cat asleep")})
    assert row.flags == ()


def test_a_machine_that_now_says_what_a_person_wrote_says_nothing_new():
    (row,) = review_rows([proposal()], {"p0": decision(caption="a grey cat asleep", proposed="a cat")})
    assert (row.flags, row.decided) == ((), True)


def test_a_verdict_leaves_the_caption_to_the_machine():
    (row,) = review_rows([proposal()], {"p0": decision(verdict="drop")})
    assert (row.caption, row.source, row.verdict) == ("a grey cat asleep", "blip starter@1", "drop")
    assert row.decided
    assert row.flags == ("dropped by a person",)


def test_unread_stays_visible():
    (row,) = review_rows([proposal()], {"p0": decision(caption="a grey cat asleep", read=False)})
    assert row.flags == ("accepted unread",)
    assert not row.read


def test_unsure_leaves_it_to_someone_else():
    (row,) = review_rows([proposal()], {"p0": decision(verdict="unsure", caption="Tom", note="is it?")})
    assert (row.decided, row.flags, row.note) == (False, ("very short", "a person is unsure"), "is it?")


def test_a_note_decides_nothing():
    (row,) = review_rows([proposal()], {"p0": decision(note="nice")})
    assert (row.decided, row.flags, row.note, row.source) == (False, (), "nice", "blip starter@1")


def test_what_two_people_differ_on_is_undecided():
    (row,) = review_rows([proposal()], {"p0": decision(caption="Tom, asleep at last")}, contested={"p0"})
    assert (row.decided, row.flags) == (False, ("in conflict",))


def test_candidates_and_fit_are_those_of_the_proposal():
    (row,) = review_rows([proposal(candidates=("a cat", "a dog"), fit=20.5)], {"p0": decision(caption="Tom")})
    assert (row.candidates, row.fit) == (("a cat", "a dog"), 20.5)


def test_an_id_and_a_version_for_tables():
    (row,) = review_rows([proposal(sample_id="12" * 32)], {})
    assert row.id == "s-1212121212121212"
    (said,) = review_rows([proposal(sample_id="12" * 32)], {"p0": decision(verdict="drop")})
    assert row.version != said.version


def test_rows_keep_the_order():
    assert [row.sample_id for row in review_rows(map(proposal, [2, 0, 1]), {})] == ["s2", "s0", "s1"]
    assert not any(row.decided for row in review_rows([proposal()], {"other": decision(verdict="keep")}))
