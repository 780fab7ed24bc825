import json
import resource
import signal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ReviewError, WorkspaceError
from pipeline.review.journal import Decision, Journal, append, load, new_batch, now, together, undo


def decision(pixel_id="p", reviewer="anna", minute=0, **said):
    return Decision(pixel_id=pixel_id, reviewer=reviewer, at=f"2025-01-31T09:{minute:02}:00+00:00", **said)


texts = st.text(st.characters(codec=None), min_size=1)  # surrogates too: a page may send them
decisions = st.builds(
    decision,
    pixel_id=st.sampled_from("abc"),
    reviewer=st.sampled_from(["anna", "Bo Ek", "c@d.org"]),
    minute=st.integers(0, 59),
    verdict=st.sampled_from([None, "keep", "drop"]),
    caption=st.none() | texts,
    note=st.none() | texts,
    read=st.booleans(),
    proposed=st.none() | texts,
)


@settings(max_examples=30)
@given(st.lists(decisions))
def test_what_is_appended_is_loaded(tmp_path_factory, written):
    folder = tmp_path_factory.mktemp("decisions")
    kept = [d for d in written if not d.blank]
    assert append(folder, written) == len(kept)
    loaded = load(folder)
    assert not loaded.problems
    for reviewer in {d.reviewer for d in written}:
        assert [d for d in loaded.decisions if d.reviewer == reviewer] == [d for d in kept if d.reviewer == reviewer]


def test_a_blank_decision_decides_nothing(tmp_path):
    assert append(tmp_path, [decision(), decision(caption=" \n")]) == 0
    assert not list(tmp_path.iterdir())
    assert load(tmp_path / "nowhere") == Journal()


def test_appending_never_rewrites(tmp_path):
    append(tmp_path, [decision(caption="one")])
    before = (tmp_path / "anna.jsonl").read_bytes()
    append(tmp_path, [decision(caption="two")])
    assert (tmp_path / "anna.jsonl").read_bytes().startswith(before)


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_torn_last_line_loses_no_other(tmp_path, cut):
    append(tmp_path, [decision("a", caption="first"), decision("b", caption="second")])
    path = tmp_path / "anna.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[: -cut * 12])
    torn = load(tmp_path)
    assert [d.caption for d in torn.decisions] == ["first"]
    assert len(torn.problems) == 1
    assert "anna.jsonl, line 2" in torn.problems[0]
    append(tmp_path, [decision("c", caption="third")])
    assert [d.caption for d in load(tmp_path).decisions] == ["first", "third"]


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b"{}",
        b'{"pixel_id": "p", "reviewer": "anna", "at": "2025-01-31T09:00:00+00:00", "verdict": "maybe"}',
        b'{"pixel_id": "p", "reviewer": "anna", "at": "2025-01-31T09:00:00", "verdict": "keep"}',
        b'{"pixel_id": 1, "reviewer": "anna", "at": "2025-01-31T09:00:00+00:00", "verdict": "keep"}',
        b'{"pixel_id": "p", "reviewer": "anna", "at": 5, "verdict": "keep"}',
        b"\xff\xfe",
    ],
)
def test_a_line_that_is_no_decision_is_told(tmp_path, line):
    (tmp_path / "anna.jsonl").write_bytes(line + b"\n")
    loaded = load(tmp_path)
    assert not loaded.decisions
    assert len(loaded.problems) == 1


def test_what_a_later_version_adds_is_ignored(tmp_path):
    append(tmp_path, [decision(verdict="keep")])
    path = tmp_path / "anna.jsonl"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"stars": 5}) + "\n")
    assert load(tmp_path).decisions == (decision(verdict="keep"),)


def test_a_full_disk_leaves_the_journal_as_it_was(tmp_path):
    append(tmp_path, [decision(caption="kept")])
    before = (tmp_path / "anna.jsonl").read_bytes()
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 300, hard))
    try:
        with pytest.raises(WorkspaceError, match="could not be saved"):
            append(tmp_path, [decision(caption="x" * 100) for _ in range(5)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert (tmp_path / "anna.jsonl").read_bytes() == before


@pytest.mark.parametrize("reviewer", ["", "../anna", "a/b", ".hidden", "a\nb", "x" * 65])
def test_a_reviewer_cannot_escape_the_folder(tmp_path, reviewer):
    with pytest.raises(ReviewError, match="reviewer"):
        append(tmp_path, [decision(reviewer=reviewer, verdict="keep")])


def test_fields_merge_by_time_over_reviewers(tmp_path):
    append(tmp_path, [decision(minute=1, caption="a cat", proposed="a dog"), decision(minute=4, verdict="drop")])
    append(tmp_path, [decision(reviewer="bo", minute=2, caption="a grey cat", proposed="a cat")])
    append(tmp_path, [decision(reviewer="bo", minute=3, verdict="keep")])
    stands = load(tmp_path).latest()["p"]
    assert stands == decision(minute=4, verdict="drop", caption="a grey cat", proposed="a cat")
    assert load(tmp_path).conflicts() == ["p"]


def test_times_are_compared_as_times(tmp_path):
    early = Decision(pixel_id="p", reviewer="anna", at="2025-01-31T10:30:00+02:00", caption="early")
    late = Decision(pixel_id="p", reviewer="bo", at="2025-01-31T09:00:00.5+00:00", caption="late")
    append(tmp_path, [late, early])
    assert load(tmp_path).latest()["p"].caption == "late"


def test_within_a_journal_the_order_of_lines_counts(tmp_path):
    append(tmp_path, [decision(minute=30, caption="before the clock was set back")])
    append(tmp_path, [decision(minute=10, caption="after")])
    assert load(tmp_path).latest()["p"].caption == "after"


def test_accepted_unread_never_hides_what_was_read():
    read, unread = decision(minute=1, caption="read"), decision(minute=2, caption="unread", read=False)
    assert Journal((read, unread)).latest()["p"].caption == "read"
    assert Journal((unread, read)).latest()["p"].read
    assert not Journal((read, decision(reviewer="bo", caption="unread", read=False))).conflicts()


@given(st.lists(decisions))
def test_latest_is_the_last_word_on_each_field(made):
    made = sorted(made, key=lambda d: d.at)
    for pixel_id, stands in Journal(tuple(made)).latest().items():
        own = [d for d in made if d.pixel_id == pixel_id]
        assert stands.verdict == next((d.verdict for d in reversed(own) if d.verdict), None)
        spoken = [d for d in own if d.caption and d.caption.strip()]
        best = [d for d in spoken if d.read] or spoken
        assert stands.caption == (best[-1].caption if best else None)


def test_one_reviewer_is_never_in_conflict():
    assert not Journal((decision(verdict="keep"), decision(minute=1, verdict="drop"))).conflicts()


def test_a_batch_counts_once_all_of_it_is_there(tmp_path):
    some = [decision("a", caption="one"), decision("b", reviewer="bo", caption="two"), decision("c")]
    append(tmp_path, together(some, "b1"))
    assert [d.batch_size for d in load(tmp_path).decisions] == [2, 2]
    assert {name: len(own) for name, own in load(tmp_path).batches().items()} == {"b1": 2}
    whole = (tmp_path / "bo.jsonl").read_bytes()
    for cut in range(len(whole)):
        (tmp_path / "bo.jsonl").write_bytes(whole[:cut])
        torn = load(tmp_path)
        if cut < len(whole) - 1:  # all but the end of the line
            assert torn.decisions == ()
            assert "batch b1: cut off while it was written, left out" in torn.problems


def test_undoing_takes_back_a_batch_and_nothing_else(tmp_path):
    append(tmp_path, [decision("a", caption="before")])
    append(
        tmp_path, together([decision("a", minute=1, caption="wrong"), decision("b", minute=1, verdict="drop")], "b1")
    )
    append(tmp_path, together([decision("b", reviewer="bo", minute=2, caption="since")], "b2"))
    undo(tmp_path, "b1", reviewer="bo", at=now())
    after = load(tmp_path)
    assert {p: (d.caption, d.verdict) for p, d in after.latest().items()} == {
        "a": ("before", None),
        "b": ("since", None),
    }
    assert (after.undone, list(after.batches()), after.problems) == ({"b1"}, ["b2"], ())


def test_batches_have_names_that_sort_by_time():
    names = [new_batch() for _ in range(50)]
    assert len(set(names)) == 50
    assert [name[:22] for name in names] == sorted(name[:22] for name in names)


def test_a_caption_that_was_read_ends_an_earlier_doubt():
    doubt, told = decision(verdict="unsure"), decision(minute=1, reviewer="bo", caption="a cat")
    assert Journal((doubt, told)).latest()["p"].verdict is None
    assert Journal((told, doubt)).latest()["p"].verdict == "unsure"
    assert Journal((decision(verdict="drop"), told)).latest()["p"].verdict == "drop"
    assert not Journal((doubt, decision(reviewer="bo", verdict="drop"))).conflicts()


def test_a_note_stays_beside_what_is_decided_later():
    merged = Journal((decision(note="Tom?", caption="a cat"), decision(minute=1, verdict="keep"))).latest()["p"]
    assert (merged.note, merged.verdict, merged.caption) == ("Tom?", "keep", "a cat")
    only = Journal((decision(caption="a cat"), decision(minute=1, reviewer="bo", note="why?"))).latest()["p"]
    assert (only.note, only.reviewer) == ("why?", "anna")


def test_now_is_utc():
    assert now().endswith("+00:00")
    assert not decision(verdict="keep").blank


def test_a_pair_kept_apart_says_nothing_of_the_pictures_alone(tmp_path):
    pair = Decision(pixel_id="a", apart_from="b", reviewer="anna", at="2025-01-01T00:00:00+00:00")
    assert append(tmp_path, together([pair], "one")) == 1
    said = load(tmp_path)
    assert said.apart() == {frozenset("ab")}
    assert said.latest() == {}
    undo(tmp_path, "one", reviewer="anna", at="2025-01-02T00:00:00+00:00")
    assert load(tmp_path).apart() == set()
