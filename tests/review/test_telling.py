from pipeline.review.apply import Applying, Change, Changes, changes
from pipeline.review.journal import Decision, Journal
from pipeline.review.rows import Proposal, review_rows
from pipeline.review.table import EditedRow
from pipeline.review.telling import render

AT = "2025-01-31T09:00:00+00:00"


def rows(bodies):
    return review_rows(
        [
            Proposal(
                sample_id=f"{n:016x}", pixel_id=f"p{n}", origin=f"{n}.jpg", split="train", body=body, source="blip"
            )
            for n, body in enumerate(bodies)
        ],
        {},
    )


def edited(row, number, **cells):
    return EditedRow(**{"line": number + 2, "id": row.id, "before": row.caption, "caption": row.caption} | cells
                     | {"base": row.version})  # fmt: skip


def test_old_and_new_are_beneath_each_other():
    some = rows(["a cat"] * 30)
    back = [edited(row, n) for n, row in enumerate(some[:29])]
    back[0] = edited(some[0], 0, caption="Tom,\n\x1b[31masleep")
    back[1] = edited(some[1], 1, decision="drop")
    told = render(changes(some, back, Journal(), Applying("anna", AT, as_is=True)))
    assert told.startswith("1 edited, 0 accepted, 0 kept, 1 dropped, 0 unsure, 0 noted; 27 unchanged, 0 in conflict\n")
    assert "1 pictures are not in the file" in told
    assert "0.jpg: edited\n  - a cat\n  + Tom, \ufffd[31masleep\n1.jpg: dropped" in told
    rest = changes(
        some, [edited(row, n) for n, row in enumerate(some)], Journal(), Applying("me", AT, accept_rest=True)
    )
    assert render(rest).endswith("and 10 more")


def test_repairs_are_told_with_their_rows():
    found = Changes((), (), 3, repaired=((2, "spaces"), (4, "spaces")), cosmetic=(7,))
    told = render(found)
    assert "2 untouched captions came back otherwise (spaces) and stay as they were: rows 2, 4" in told
    assert "1 captions differ in spaces, quotes or dashes alone" in told
    assert told.endswith("rows 7")


def test_a_conflict_shows_all_three():
    (row,) = rows(["a lynx"])
    decision = Decision(pixel_id="p0", reviewer="anna", at=AT, caption="Tom", verdict="drop")
    change = Change(2, row, ("edited",), "a cat", None, decision)
    told = render(Changes((), (change,), 0))
    assert "  seen   a cat\n  yours  Tom\n  here   a lynx\n  yours  drop, here None" in told
