from flows.review_desk import desk_of, reader_of
from flows.reviewing import captioned
from pipeline.review import order
from pipeline.review.desk import Wish
from pipeline.run import Run
from pipeline.workspace import Workspace


def test_a_desk_shows_what_an_export_would_in_its_order_and_writes_where_it_reads(copied):
    workspace = Workspace.open(copied / "w")
    run = Run.open(workspace, workspace.latest_run().name)
    desk = desk_of(run)
    assert desk.rows() == order.ordered(captioned(run))
    row = desk.rows()[0]
    desk.decide([Wish(row.id, row.caption, row.version, "quite another caption")], "anna")
    assert "quite another caption" in {one.caption for one in captioned(run)}
    assert [path.name for path in workspace.decisions.glob("*.jsonl")] == ["anna.jsonl"]


def test_a_caption_that_grows_too_long_is_flagged_at_once_by_as_much_as_stands_around_it(copied):
    workspace = Workspace.open(copied / "w")
    run = Run.open(workspace, workspace.latest_run().name)
    reader = reader_of(run)
    desk = desk_of(run, reader)
    row = desk.rows()[0]
    long = "a red circle " * 40
    read = reader.read(row.sample_id, long)
    assert read.longest == 77 < read.tokens
    desk.decide([Wish(row.id, row.caption, row.version, long)], "anna")
    stands = desk.row(row.id)
    assert "cut at 77 tokens" in stands.flags
    assert stands.unread == read.caption[read.characters :].strip() != ""
    assert {one.id: one for one in captioned(run)}[row.id].flags == stands.flags
