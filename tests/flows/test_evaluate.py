from flows.evaluate import evaluate
from pipeline.run import Run
from pipeline.workspace import Workspace


def test_it_measures_and_reports(copied, prefect):
    workspace = Workspace.open(copied / "w")
    run = Run.open(workspace, workspace.latest_run().name)
    before = run.rows("metrics")
    for name in ("metrics.parquet", "report.html"):
        (run.folder / name).unlink()
    assert evaluate(str(workspace.root), run.id, return_state=True).is_completed()
    assert run.rows("metrics") == before
    assert (run.folder / "report.html").exists()
