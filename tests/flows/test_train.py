from flows.train import train
from pipeline.run import Run
from pipeline.workspace import Workspace


def test_a_finished_training_is_found(copied, prefect):
    workspace = Workspace.open(copied / "w")
    run = Run.open(workspace, workspace.latest_run().name)
    before = run.json("training")
    (run.folder / "training.json").unlink()
    state = train(str(workspace.root), run.id, return_state=True)
    assert state.is_completed()
    assert run.json("training") == before
    assert run.stats()[-1].computed == 0
