from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ReviewError
from pipeline.review import journal
from pipeline.review.apply import Applying, apply, changes
from pipeline.review.rows import Proposal, review_rows
from pipeline.review.table import EditedRow, export, read

AT = "2025-01-31T09:00:00+00:00"


def proposals(bodies):
    return [
        Proposal(
            sample_id=f"{n:08x}a{n:055x}",
            pixel_id=f"p{n}",
            origin=f"{n}.jpg",
            split="train",
            body=body,
            source="blip starter@1",
        )
        for n, body in enumerate(bodies)
    ]


def stands(folder, bodies):
    return review_rows(proposals(bodies), journal.load(folder).latest())


def given_back(rows, **cells):
    """The export as it would come back, `cells` (row_0={"caption": ...}) typed into it."""
    exported = [EditedRow(n + 2, row.id, row.caption, row.caption, "", base=row.version) for n, row in enumerate(rows)]
    return [replace(got, **cells.get(f"row_{n}", {})) for n, got in enumerate(exported)]


def find(rows, edited, folder=None, **how):
    said = journal.load(folder) if folder else journal.Journal()
    return changes(rows, edited, said, Applying(how.pop("reviewer", "anna"), how.pop("at", AT), **how))


def take(found, folder, batch="b", **how):
    return apply(found, folder, batch=batch, **how)


BODIES = ["a cat", "a dog", "", "a fish"]


def test_every_word(tmp_path):
    rows = stands(tmp_path, [*BODIES, "a bird"])
    edited = given_back(
        rows,
        row_0={"caption": "Tom, asleep"},
        row_1={"decision": "accept"},
        row_2={"decision": "drop"},
        row_3={"decision": "keep", "note": "the best one"},
        row_4={"decision": "unsure"},
    )
    found = find(rows, edited)
    kinds = ("edited", "accepted", "kept", "dropped", "unsure", "noted")
    assert [found.count(kind) for kind in kinds] == [1, 2, 1, 1, 1, 1]
    assert (found.unchanged, found.conflicts, found.absent) == (0, (), 0)
    assert take(found, tmp_path) == 5
    now = stands(tmp_path, [*BODIES, "a bird"])
    assert [row.caption for row in now] == ["Tom, asleep", "a dog", "", "a fish", "a bird"]
    assert [row.verdict for row in now] == [None, None, "drop", "keep", "unsure"]
    assert [row.source for row in now] == ["person", "person", "blip starter@1", "person", "blip starter@1"]
    assert [row.decided for row in now] == [True, True, True, True, False]
    assert [row.note for row in now] == ["", "", "", "the best one", ""]


captions = st.sampled_from(["", "a cat", "a dog", "-5 degrees", "'tis a cat", "a\r\ncat", " a cat ", "Ł, é"])
words = st.sampled_from(["", "", "accept", "keep", "drop", "unsure"])


@settings(max_examples=40)
@given(st.lists(captions, min_size=1, max_size=4), st.data())
def test_applying_twice_changes_nothing_more(tmp_path_factory, bodies, data):
    folder = tmp_path_factory.mktemp("decisions")
    rows = stands(folder, bodies)
    typed = {
        f"row_{n}": {"caption": data.draw(st.just(body) | captions), "decision": data.draw(words)}
        for n, body in enumerate(bodies)
    }
    edited = given_back(rows, **typed)
    try:
        first = find(rows, edited, folder, as_is=True)
    except ReviewError as error:
        assert "was emptied" in str(error) or "no caption to accept" in str(error)  # noqa: PT017 - either will do
        return
    assert not first.conflicts
    take(first, folder)
    again = find(stands(folder, bodies), edited, folder, as_is=True)
    assert (again.fresh, again.conflicts, again.unchanged) == ((), (), len(edited))


@settings(max_examples=40)
@given(st.lists(captions, min_size=1), st.dictionaries(st.integers(0, 3), captions))
def test_an_unedited_export_is_no_change(tmp_path_factory, bodies, spoken):
    folder = tmp_path_factory.mktemp("review")
    said = [journal.Decision(pixel_id=f"p{n}", reviewer="bo", at=AT, caption=text) for n, text in spoken.items()]
    journal.append(folder / "decisions", said)
    rows = stands(folder / "decisions", bodies)
    export(rows, folder / "r.csv")
    edited = read(folder / "r.csv").rows
    assert find(rows, edited, folder / "decisions").unchanged == len(bodies)
    later = stands(folder / "decisions", [f"{body}, captioned anew" for body in bodies])
    assert find(later, edited, folder / "decisions").unchanged == len(bodies)


def test_what_a_spreadsheet_does_to_both_cells_is_no_edit_and_told(tmp_path):
    rows = stands(tmp_path, ["Łódź", "1/2", "a cat"])
    mangled = given_back(
        rows, row_0={"before": "?ód?", "caption": "?ód?"}, row_1={"before": "01.Feb", "caption": "01.Feb"}
    )
    found = find(rows, mangled)
    assert found.unchanged == 3
    assert found.repaired == ((2, "letters that the encoding lacks"), (3, "read as a number or a date"))


def test_what_a_spreadsheet_does_to_both_cells_is_no_edit_though_it_was_captioned_anew_since(tmp_path):
    journal.append(tmp_path, [journal.Decision(pixel_id="p0", reviewer="bo", at=AT, caption="Łódź")])
    mangled = given_back(stands(tmp_path, ["x"]), row_0={"before": "?ód?", "caption": "?ód?"})
    later = journal.Decision(pixel_id="p0", reviewer="bo", at=AT, caption="Kraków")
    journal.append(tmp_path, [later])
    assert find(stands(tmp_path, ["x"]), mangled, tmp_path).unchanged == 1


def test_accepting_a_row_that_came_back_otherwise_accepts_what_was_shown(tmp_path):
    rows = stands(tmp_path, ["Łódź"])
    mangled = given_back(rows, row_0={"before": "?ód?", "caption": "?ód?", "decision": "accept"})
    (decision,) = find(rows, mangled).decisions
    assert decision.caption == "Łódź"


def test_quotes_alone_are_no_edit_but_told(tmp_path):
    rows = stands(tmp_path, ["it's a cat"])
    edited = given_back(rows, row_0={"caption": "it\u2019s  a cat"})
    assert (find(rows, edited).unchanged, find(rows, edited).cosmetic) == (1, (2,))
    assert find(rows, edited, as_is=True).decisions[0].caption == "it\u2019s  a cat"


def test_an_edit_of_what_changed_meanwhile_is_a_conflict(tmp_path):
    before = stands(tmp_path, BODIES)
    journal.append(tmp_path, [journal.Decision(pixel_id="p0", reviewer="bo", at=AT, caption="Bo's cat")])
    edited = given_back(before, row_0={"caption": "Anna's cat"}, row_1={"caption": "Anna's dog"})
    found = find(stands(tmp_path, BODIES), edited, tmp_path)
    assert [(one.seen, one.old, one.new) for one in found.conflicts] == [("a cat", "Bo's cat", "Anna's cat")]
    with pytest.raises(ReviewError, match=r"Bo's cat.*Anna's cat"):
        take(found, tmp_path)
    assert stands(tmp_path, BODIES)[1].source != "person", "nothing was applied"
    later = "2025-01-31T10:00:00+00:00"
    take(find(stands(tmp_path, BODIES), edited, tmp_path, at=later), tmp_path, force=True)
    assert [row.caption for row in stands(tmp_path, BODIES)[:2]] == ["Anna's cat", "Anna's dog"]
    assert journal.load(tmp_path).conflicts() == ["p0"]


def test_the_same_edit_by_two_is_agreement_and_both_are_written_down(tmp_path):
    edited = given_back(stands(tmp_path, BODIES), row_0={"caption": "Tom"}, row_1={"decision": "drop"})
    take(find(stands(tmp_path, BODIES), edited, tmp_path), tmp_path)
    found = find(stands(tmp_path, BODIES), edited, tmp_path, reviewer="bo")
    assert (found.count("accepted"), found.count("dropped"), found.conflicts) == (1, 1, ())
    take(found, tmp_path, "c")
    assert {one.reviewer for one in journal.load(tmp_path).decisions} == {"anna", "bo"}


def test_verdicts_of_two_conflict(tmp_path):
    before = stands(tmp_path, BODIES)
    journal.append(tmp_path, [journal.Decision(pixel_id="p0", reviewer="bo", at=AT, verdict="keep")])
    found = find(stands(tmp_path, BODIES), given_back(before, row_0={"decision": "drop", "note": "blurred"}), tmp_path)
    assert [(one.decision.verdict, one.row.verdict) for one in found.conflicts] == [("drop", "keep")]
    assert [(one.verdict, one.note) for one in found.decisions] == [(None, "blurred")]


def test_a_caption_accepted_before_it_was_captioned_anew_is_a_conflict(tmp_path):
    edited = given_back(stands(tmp_path, ["a cat"]), row_0={"decision": "accept"})
    assert len(find(stands(tmp_path, ["a lynx"]), edited).conflicts) == 1


def test_a_verdict_on_the_picture_is_none_where_only_the_caption_changed(tmp_path):
    edited = given_back(stands(tmp_path, ["a cat", "a dog"]), row_0={"decision": "keep"}, row_1={"decision": "drop"})
    found = find(stands(tmp_path, ["a lynx", "a wolf"]), edited)
    assert not found.conflicts
    assert [(d.verdict, d.caption) for d in found.decisions] == [("keep", None), ("drop", None)]


def test_accepting_the_rest_is_recorded_as_unread(tmp_path):
    rows = stands(tmp_path, BODIES)
    edited = given_back(rows, row_0={"caption": "Tom"}, row_1={"decision": "drop"})
    take(find(rows, edited, accept_rest=True), tmp_path)
    now = stands(tmp_path, BODIES)
    assert [(row.caption, row.decided, row.read) for row in now] == [
        ("Tom", True, True),
        ("a dog", True, True),
        ("", False, True),
        ("a fish", True, False),
    ]
    assert find(now, edited, tmp_path, accept_rest=True).decisions == []
    read = find(now, given_back(now, row_3={"decision": "accept"}), tmp_path)
    assert read.count("accepted") == 1
    take(read, tmp_path, "c")
    assert stands(tmp_path, BODIES)[3].read


def test_reading_what_was_accepted_unread_is_no_conflict(tmp_path):
    said = journal.Decision(pixel_id="p0", reviewer="bo", at=AT, caption="Tom, asleep", read=False)
    journal.append(tmp_path, [said])
    before = stands(tmp_path / "before", BODIES)
    found = find(stands(tmp_path, BODIES), given_back(before, row_0={"caption": "Tom, asleep"}), tmp_path)
    assert not found.conflicts
    assert [(d.caption, d.read) for d in found.decisions] == [("Tom, asleep", True)]


def test_a_blank_id_is_not_guessed(tmp_path):
    rows = stands(tmp_path, BODIES)
    with pytest.raises(ReviewError) as caught:
        find(rows, given_back(rows, row_0={"id": ""}))
    assert "Did you mean" not in str(caught.value)


def test_a_decision_of_another_day(tmp_path):
    rows = stands(tmp_path, BODIES)
    take(find(rows, given_back(rows, row_0={"decision": "drop"})), tmp_path)
    now = stands(tmp_path, BODIES)
    found = find(now, given_back(now, row_0={"decision": "keep"}), tmp_path, at="2025-02-01T09:00:00+00:00")
    take(found, tmp_path, "c")
    assert stands(tmp_path, BODIES)[0].verdict == "keep"


def test_rows_that_are_gone_decide_nothing_and_are_told(tmp_path):
    rows = stands(tmp_path, BODIES)
    found = find(rows, given_back(rows)[2:], accept_rest=True)
    assert (found.absent, [one.pixel_id for one in found.decisions]) == (2, ["p3"])


def test_a_note_is_new_once(tmp_path):
    rows = stands(tmp_path, BODIES)
    take(find(rows, given_back(rows, row_0={"note": "is it Tom?"})), tmp_path)
    (row, *_) = stands(tmp_path, BODIES)
    assert (row.note, row.decided, row.flags) == ("is it Tom?", False, ("very short",))
    take(find(stands(tmp_path, BODIES), given_back(rows, row_0={"note": "no"}), tmp_path), tmp_path, "c")
    older = find(stands(tmp_path, BODIES), given_back(rows, row_0={"note": "is it Tom? "}), tmp_path)
    assert older.unchanged == len(BODIES)


def test_who_decided(tmp_path):
    rows = stands(tmp_path, BODIES)
    edited = given_back(rows, row_0={"decision": "accept", "reviewer": "Bo Ek"}, row_1={"decision": "accept"})
    assert [one.reviewer for one in find(rows, edited).decisions] == ["Bo Ek", "anna"]
    assert [one.reviewer for one in find(rows, edited, override=True).decisions] == ["anna", "anna"]
    with pytest.raises(ReviewError, match="row 2, column reviewer"):
        find(rows, given_back(rows, row_0={"reviewer": "../bo"}))


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        ({"id": "s-00000000b"}, r"row 2, column id: no picture .*'s-00000000b'.* Did you mean s-00000000a"),
        ({"id": ""}, "row 2, column id: the id is blank"),
        ({"caption": " "}, "row 2, column caption: was emptied"),
        ({"before": "Tom, asleep"}, "row 2, column before: was changed"),
        ({"before": "Tom", "caption": "Tom"}, "row 2, column before: was changed"),
        ({"before": "a cat?", "caption": "Tom"}, "row 2, column before: was changed"),
        ({"base": "v-000000000000"}, "row 2, column base: the id, the caption before and its version do not belong"),
        ({"base": ""}, "row 2, column base"),
        ({"caption": "x" * 32_767}, "row 2, column caption: was cut at 32,767"),
        ({"caption": "a c?t"}, "row 2, column caption: has a question mark"),
    ],
)
def test_what_cannot_be_meant(tmp_path, cells, problem):
    rows = stands(tmp_path, BODIES)
    with pytest.raises(ReviewError, match=problem):
        find(rows, given_back(rows, row_0=cells))


def test_nothing_to_accept(tmp_path):
    rows = stands(tmp_path, BODIES)
    with pytest.raises(ReviewError, match="row 4, column caption: there is no caption to accept"):
        find(rows, given_back(rows, row_2={"decision": "accept"}))


@pytest.mark.parametrize("column", ["id", "caption", "base"])
def test_a_column_that_was_sorted_alone_is_refused(tmp_path, column):
    rows = stands(tmp_path, ["c: a fish", "b: a dog", "a: a cat"])
    edited = given_back(rows)
    cells = sorted((getattr(one, column) for one in edited), reverse=column == "id")
    with pytest.raises(ReviewError, match="sorted"):
        find(rows, [replace(one, **{column: cell}) for one, cell in zip(edited, cells, strict=True)])


def test_two_captions_that_were_swapped_on_purpose(tmp_path):
    rows = stands(tmp_path, ["a cat", "a dog"])
    edited = given_back(rows, row_0={"caption": "a dog"}, row_1={"caption": "a cat"})
    with pytest.raises(ReviewError, match="row 2, column caption: is the caption that row 3 had"):
        find(rows, edited)
    assert find(rows, edited, as_is=True).count("edited") == 2


def test_an_emptied_caption_of_a_dropped_picture_does_not_matter(tmp_path):
    rows = stands(tmp_path, BODIES)
    (decision,) = find(rows, given_back(rows, row_0={"caption": "", "decision": "drop"})).decisions
    assert (decision.verdict, decision.caption) == ("drop", None)


def test_one_picture_in_two_files(tmp_path):
    twins = [replace(row, pixel_id="p") for row in stands(tmp_path, ["a cat", "a cat"])]
    alike = find(twins, given_back(twins, row_0={"caption": "Tom"}, row_1={"caption": "Tom"}))
    assert len(alike.decisions) == 1
    with pytest.raises(ReviewError, match="row 3, column caption: the same picture as row 2"):
        find(twins, given_back(twins, row_0={"caption": "Tom"}, row_1={"caption": "Tim"}))
