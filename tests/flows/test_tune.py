from flows.tune import tune
from pipeline.run import Run
from pipeline.workspace import Workspace


def test_a_search_without_ranges_fails_with_what_to_add(copied, prefect):
    workspace = Workspace.open(copied / "w")
    run = Run.open(workspace, workspace.latest_run().name)
    state = tune(str(workspace.root), run.id, return_state=True)
    assert state.is_failed()
    assert "tune.ranges: the recipe names nothing to search" in state.message
