"""Flow: re-train on a schedule, and skip with a reason when nothing has changed.

What was trained on is read from the workspace, so a missed schedule that fires late, or twice, does no harm.
"""

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.steps import go
from pipeline import models, plan
from pipeline.errors import GessoError
from pipeline.recipe import load
from pipeline.run import Run
from pipeline.steps.train import identity_of
from pipeline.workspace import Workspace


@flow(flow_run_name="retrain")
def retrain(recipe: str, settings: list[str], workspace: str) -> State[Any]:
    """Prepare; train, evaluate and report only where the training set or the settings are new (else: Skipped)."""
    try:
        loaded = load(Path(recipe), settings)
        plan.check(loaded)
        place = Workspace.create(Path(workspace))
        with place.lock("run"):
            run = Run.create(place, loaded, command=f"gesso run {recipe}")
            state = go(
                workspace, run.id, [step for part in ("prepare", "review", "assemble") for step in plan.STEPS[part]]
            )
            if not state.is_completed() or state.name == "AwaitingReview":
                return state
            base = models.locate(loaded.base_model.id, loaded.base_model.revision)
            identity = identity_of(run, base)
            if (place.root / "trainings" / identity / "done.json").exists():
                reason = f"skipped, because training set {run.json('trainset')['digest'][:12]} was trained on already"
                run.save_json("outcome", {"exit_code": 0, "skipped": reason})
                return Completed(name="Skipped", message=reason)
            return go(
                workspace, run.id, [step for part in ("train", "evaluate", "report") for step in plan.STEPS[part]]
            )
    except GessoError as error:
        return Failed(message=str(error))
