from flows.review_desk import desk_of
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
