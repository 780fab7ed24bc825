from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pipeline.reporting.captions import changes, clip, cut, misfits, rank
from pipeline.reporting.record import CaptionRow

texts = st.text("ab ", max_size=30)


def caption(machine: str, reviewed: str | None) -> CaptionRow:
    return CaptionRow("s", "a.png", machine, reviewed, "", "")


def test_flagged_come_first_then_changed_then_unread():
    flagged = CaptionRow("s", "z.png", "x", None, "", "", ("odd",))
    changed, unread, accepted = caption("x", "y"), caption("x", None), caption("x", "x")
    assert sorted([accepted, unread, changed, flagged], key=rank) == [flagged, changed, unread, accepted]


@given(texts, texts)
def test_the_pieces_of_a_change_hold_both_texts(machine, reviewed):
    pieces = changes(caption(machine, reviewed))
    assert " ".join(text for kind, text in pieces if kind != "new").split() == machine.split()
    assert " ".join(text for kind, text in pieces if kind != "gone").split() == reviewed.split()


def test_a_change_is_told_by_the_word():
    assert changes(caption("a big dog", "a large dog")) == [
        ("same", "a"), ("gone", "big"), ("new", "large"), ("same", "dog"),
    ]  # fmt: skip
    assert changes(caption("a dog", None)) == [("same", "a dog")]


def test_long_texts_are_clipped_and_counted():
    assert clip("x" * 600) == "x" * 600
    assert clip("x" * 12_345) == "x" * 600 + "… (12,345 characters)"


def test_the_worst_tenth_of_what_was_measured_is_shown_worst_first():
    rows = [CaptionRow(str(n), f"{n:03}.png", "a", None, "a", "blip", fit=float(n % 50)) for n in range(100)]
    rows.append(CaptionRow("x", "x.png", "a", None, "a", "blip"))
    worst, total = misfits(rows)
    assert total == 100
    assert [row.origin for row in worst[:3]] == ["000.png", "050.png", "001.png"]
    assert len(worst) == 10
    assert misfits(rows[-1:]) == ([], 0)


def test_a_caption_is_cut_where_the_encoder_reads_less():
    row = CaptionRow("x", "x.png", "a", None, "a cat", "blip")
    assert not cut(row)
    assert not cut(replace(row, read=5))
    assert cut(replace(row, read=3))
