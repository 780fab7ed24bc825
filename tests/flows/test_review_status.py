from flows.review_status import status
from pipeline.review import journal
from pipeline.review.journal import Decision
from pipeline.run import Run
from pipeline.steps.review import rows_of
from pipeline.workspace import Workspace


def test_progress_reviewers_and_agreement(copied):
    workspace = Workspace.open(copied / "w")
    run = Run.open(workspace, workspace.latest_run().name)
    first, second, third = rows_of(run)[:3]
    at = journal.now()
    said = [
        Decision(pixel_id=first.pixel_id, reviewer="anna", at=at, caption="Tom"),
        Decision(pixel_id=first.pixel_id, reviewer="bo", at=at, caption="Tom"),
        Decision(pixel_id=second.pixel_id, reviewer="bo", at=at, caption=second.caption, read=False),
        Decision(pixel_id=third.pixel_id, reviewer="bo", at=at, verdict="unsure"),
        Decision(pixel_id="of another set", reviewer="cy", at=at, caption="elsewhere"),
    ]
    journal.append(workspace.decisions, said)
    with (workspace.decisions / "bo.jsonl").open("ab") as file:
        file.write(b'{"pixel_id": "torn')
    told = status(run).value()
    assert len(told["problems"]) == 1
    assert "bo.jsonl, line 4" in told["problems"][0]
    assert {name: told[name] for name in ("captions", "decided", "unread", "unsure", "conflicts", "reviewers")} == {
        "captions": 6, "decided": 2, "unread": 1, "unsure": 1, "conflicts": 0, "reviewers": {"anna": 1, "bo": 3},
    }  # fmt: skip
    assert [(one["first"], one["second"], one["same_captions"]) for one in told["agreement"]] == [("anna", "bo", 1)]
    words = status(run).words()
    assert words.startswith("2 of 6 captions are decided (1 of them unread), 1 unsure, 0 in conflict\nanna: 1 pictures")
    assert words.splitlines()[-1] == told["problems"][0]
    assert words.splitlines()[-2] == (
        "anna and bo both judged 1 pictures; the same caption for 1 of 1 (100% of the words)"
    )
