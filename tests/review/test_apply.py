from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ReviewError
from pipeline.review import journal
from pipeline.review.apply import apply, changes, render
from pipeline.review.rows import Proposal, review_rows
from pipeline.review.table import EditedRow, export_csv, read_csv

AT = "2025-01-31T09:00:00+00:00"


def proposals(bodies):
    return [
        Proposal(
            sample_id=f"{n:08x}a",
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
    exported = [EditedRow(n + 2, row.sample_id, row.caption, row.caption, "") for n, row in enumerate(rows)]
    return [replace(got, **cells.get(f"row_{n}", {})) for n, got in enumerate(exported)]


def find(rows, edited, **how):
    return changes(rows, edited, reviewer=how.pop("reviewer", "anna"), at=how.pop("at", AT), **how)


BODIES = ["a cat", "a dog", "", "a fish"]


def test_every_word(tmp_path):
    rows = stands(tmp_path, BODIES)
    edited = given_back(
        rows,
        row_0={"caption": "Tom, asleep"},
        row_1={"decision": "accept"},
        row_2={"decision": "drop"},
        row_3={"decision": "keep"},
    )
    found = find(rows, edited)
    assert [found.count(kind) for kind in ("edited", "accepted", "kept", "dropped")] == [1, 2, 1, 1]
    assert (found.unchanged, found.stale) == (0, ())
    assert apply(found, tmp_path) == 4
    now = stands(tmp_path, BODIES)
    assert [row.caption for row in now] == ["Tom, asleep", "a dog", "", "a fish"]
    assert [row.verdict for row in now] == [None, None, "drop", "keep"]
    assert [row.source for row in now] == ["person", "person", "blip starter@1", "person"]
    assert all(row.decided for row in now)


captions = st.sampled_from(["", "a cat", "a dog", "-5 degrees", "'tis a cat", "a\r\ncat", " a cat ", "Ł, é"])
words = st.sampled_from(["", "", "accept", "keep", "drop"])


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
        first = find(rows, edited)
    except ReviewError as error:
        assert "was emptied" in str(error) or "no caption to accept" in str(error)  # noqa: PT017 - either will do
        return
    assert not first.stale
    apply(first, folder)
    again = find(stands(folder, bodies), edited)
    assert (again.fresh, again.stale, again.unchanged) == ((), (), len(edited))


@given(st.lists(captions, min_size=1), st.dictionaries(st.integers(0, 3), captions))
def test_an_unedited_export_is_no_change(tmp_path_factory, bodies, spoken):
    folder = tmp_path_factory.mktemp("review")
    said = [journal.Decision(pixel_id=f"p{n}", reviewer="bo", at=AT, caption=text) for n, text in spoken.items()]
    journal.append(folder / "decisions", said)
    rows = stands(folder / "decisions", bodies)
    export_csv(rows, folder / "r.csv")
    edited = read_csv(folder / "r.csv")
    assert find(rows, edited).unchanged == len(bodies)
    later = stands(folder / "decisions", [f"{body}, captioned anew" for body in bodies])
    assert find(later, edited).unchanged == len(bodies)


def test_what_a_spreadsheet_does_to_both_cells_is_no_edit(tmp_path):
    rows = stands(tmp_path, ["Łódź 1/2"])
    mangled = given_back(rows, row_0={"proposed": "?ód? 01.Feb", "caption": "?ód? 01.Feb"})
    assert find(rows, mangled).unchanged == 1


def test_an_edit_of_what_changed_meanwhile_is_stale(tmp_path):
    before = stands(tmp_path, BODIES)
    journal.append(tmp_path, [journal.Decision(pixel_id="p0", reviewer="bo", at=AT, caption="Bo's cat")])
    edited = given_back(before, row_0={"caption": "Anna's cat"}, row_1={"caption": "Anna's dog"})
    found = find(stands(tmp_path, BODIES), edited)
    assert [(change.old, change.new) for change in found.stale] == [("Bo's cat", "Anna's cat")]
    with pytest.raises(ReviewError, match=r"row 2, column caption.*Bo's cat.*Anna's cat"):
        apply(found, tmp_path)
    assert stands(tmp_path, BODIES)[1].source != "person", "nothing was applied"
    later = "2025-01-31T10:00:00+00:00"
    apply(find(stands(tmp_path, BODIES), edited, at=later), tmp_path, force=True)
    assert [row.caption for row in stands(tmp_path, BODIES)[:2]] == ["Anna's cat", "Anna's dog"]
    assert journal.load(tmp_path).conflicts() == ["p0"]


def test_a_caption_accepted_before_it_was_captioned_anew_is_stale(tmp_path):
    edited = given_back(stands(tmp_path, ["a cat"]), row_0={"decision": "accept"})
    assert len(find(stands(tmp_path, ["a lynx"]), edited).stale) == 1


def test_a_verdict_on_the_picture_is_never_stale(tmp_path):
    edited = given_back(stands(tmp_path, ["a cat", "a dog"]), row_0={"decision": "keep"}, row_1={"decision": "drop"})
    found = find(stands(tmp_path, ["a lynx", "a wolf"]), edited)
    assert not found.stale
    assert [(d.verdict, d.caption) for d in found.decisions] == [("keep", None), ("drop", None)]


def test_accepting_the_rest_is_recorded_as_unread(tmp_path):
    rows = stands(tmp_path, BODIES)
    edited = given_back(rows, row_0={"caption": "Tom"}, row_1={"decision": "drop"})
    apply(find(rows, edited, accept_rest=True), tmp_path)
    now = stands(tmp_path, BODIES)
    assert [(row.caption, row.decided, row.read) for row in now] == [
        ("Tom", True, True),
        ("a dog", True, True),
        ("", False, True),
        ("a fish", True, False),
    ]
    assert find(now, edited, accept_rest=True).decisions == []
    read = find(now, given_back(now, row_3={"decision": "accept"}))
    assert read.count("accepted") == 1
    apply(read, tmp_path)
    assert stands(tmp_path, BODIES)[3].read


def test_reading_what_was_accepted_unread_is_not_stale(tmp_path):
    said = journal.Decision(pixel_id="p0", reviewer="bo", at=AT, caption="Tom, asleep", read=False)
    journal.append(tmp_path, [said])
    found = find(
        stands(tmp_path, BODIES), given_back(stands(tmp_path / "before", BODIES), row_0={"caption": "Tom, asleep"})
    )
    assert not found.stale
    assert [(d.caption, d.read) for d in found.decisions] == [("Tom, asleep", True)]


def test_a_blank_id_is_not_guessed(tmp_path):
    rows = stands(tmp_path, BODIES)
    with pytest.raises(ReviewError) as caught:
        find(rows, given_back(rows, row_0={"sample_id": ""}))
    assert "Did you mean" not in str(caught.value)


def test_a_decision_of_another_day(tmp_path):
    rows = stands(tmp_path, BODIES)
    apply(find(rows, given_back(rows, row_0={"decision": "drop"})), tmp_path)
    now = stands(tmp_path, BODIES)
    apply(find(now, given_back(now, row_0={"decision": "keep"}), at="2025-02-01T09:00:00+00:00"), tmp_path)
    assert stands(tmp_path, BODIES)[0].verdict == "keep"


def test_rows_that_are_gone_decide_nothing(tmp_path):
    rows = stands(tmp_path, BODIES)
    assert find(rows, given_back(rows)[2:]).unchanged == 2


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        ({"sample_id": "00000000b"}, r"row 2, column sample_id: no picture .*'00000000b'.* Did you mean 00000000a"),
        ({"sample_id": ""}, "row 2, column sample_id: the id is blank"),
        ({"caption": " "}, "row 2, column caption: was emptied"),
        ({"proposed": "Tom, asleep"}, "row 2, column proposed: was changed"),
        ({"proposed": "", "caption": "", "decision": "accept"}, "row 2, column caption: there is no caption to accept"),
    ],
)
def test_what_cannot_be_meant(tmp_path, cells, problem):
    rows = stands(tmp_path, BODIES)
    with pytest.raises(ReviewError, match=problem):
        find(rows, given_back(rows, row_0=cells))


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


def test_render_shows_old_and_new(tmp_path):
    rows = stands(tmp_path, ["a cat"] * 30)
    told = render(find(rows, given_back(rows, row_0={"caption": "Tom,\nasleep"}, row_1={"decision": "drop"})))
    assert "1 edited, 0 accepted, 0 kept, 1 dropped; 28 unchanged, 0 stale" in told
    assert "0.jpg: edited\n  - a cat\n  + Tom, asleep\n1.jpg: dropped" in told
    everything = find(rows, given_back(rows), accept_rest=True)
    assert render(everything).endswith("and 10 more")
    assert "Stale" in render(find(stands(tmp_path, ["a lynx"]), given_back(rows[:1], row_0={"caption": "Tom"})))
