from flows.run_all import run_all
from flows.steps import AWAITING


def test_it_stops_where_people_have_to_decide_and_reports(begun, flow_runs):
    run = begun(review={"require": "all"})
    state = run_all(str(run.workspace.root), run.id, return_state=True)
    assert (state.type, state.name) == ("COMPLETED", AWAITING)
    assert (run.folder / "report.html").exists()
    assert not flow_runs(f"train-{run.id}")


def test_it_stops_where_a_part_fails(begun, pictures, flow_runs):
    run = begun()
    for path in pictures.iterdir():
        path.unlink()
    state = run_all(str(run.workspace.root), run.id, return_state=True)
    assert state.is_failed()
    assert "there are no files here" in state.message
    assert not flow_runs(f"review-{run.id}")
