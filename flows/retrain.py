"""Flow: re-train on a schedule, and skip with a reason when nothing has changed.

What was trained on is read from the workspace, so a missed schedule that fires late, or twice, does no harm.
"""

from pathlib import Path
from typing import Any

import click
from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows import logs
from flows.settings import quiet
from flows.steps import ended, go
from pipeline import plan
from pipeline.errors import GessoError
from pipeline.recipe import load
from pipeline.run import Run
from pipeline.workspace import Workspace

BEFORE = tuple(step for part in ("prepare", "review", "assemble") for step in plan.STEPS[part])
AFTER = tuple(step for part in ("train", "evaluate", "report") for step in plan.STEPS[part])
"""Steps before and after it is known whether there is anything new to train on."""


@flow(flow_run_name="retrain")
def retrain(recipe: str, settings: list[str], workspace: str) -> State[Any]:
    """Prepare; train, evaluate and report only where the training set or the settings are new (else: Skipped)."""
    quiet()
    try:
        loaded = load(Path(recipe), settings)
        plan.check_all(loaded)
        place = Workspace.create(Path(workspace))
        command = f"gesso run {recipe}"
        with place.hold(doing=f"{command}, scheduled"):
            run = Run.create(place, loaded, command=command)
            with logs.recording(run.folder):
                state = _retrain(run, workspace)
    except GessoError as error:
        state = Failed(message=str(error))
    click.echo(f"retrain: {state.message}", err=True)
    return state


def _retrain(run: Run, workspace: str) -> State[Any]:
    state = go(workspace, run.id, BEFORE)
    if ended(state):
        return state
    if earlier := reported(run):
        digest = run.json("trainset")["digest"][:12]
        reason = f"skipped, because run {earlier} has trained on training set {digest} with these settings already"
        run.save_json("outcome", {"exit_code": 0, "skipped": reason})
        return Completed(name="Skipped", message=reason)
    return go(workspace, run.id, AFTER)


def reported(run: Run) -> str | None:
    """The id of an earlier run that finished, to its report, the very training that this run asks for."""
    for path in sorted(run.workspace.runs.glob("*/report.html"), reverse=True):
        earlier = Run.open(run.workspace, path.parent.name)
        if earlier.id != run.id and earlier.json("training").get("folder") == run.training.name:
            return earlier.id
    return None
