from flows.chain import chain
from flows.steps import AWAITING


def test_it_does_the_steps_named_in_order(begun, prefect):
    run = begun()
    state = chain(str(run.workspace.root), run.id, ["ingest", "measure"], return_state=True)
    assert state.is_completed()
    assert [stat.name for stat in run.stats()] == ["ingest", "measure"]


def test_a_run_that_waits_has_its_report(begun, prefect):
    run = begun(review={"require": "all"})
    steps = ["ingest", "measure", "select", "caption", "review", "trainset"]
    assert chain(str(run.workspace.root), run.id, steps, return_state=True).name == AWAITING
    assert (run.folder / "report.html").exists()
