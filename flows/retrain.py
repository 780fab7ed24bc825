"""Flow: re-train on a schedule, and skip with a reason when nothing has changed.

What was trained on is read from the workspace, so a missed schedule that fires late, or twice, does no harm. Where
people have to decide first, a deployed one sleeps (see gate.py) and is begun from its start when it is woken: it takes
up the run that it had begun.
"""

from pathlib import Path
from typing import Any

import click
from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows import gate, logs
from flows.settings import quiet
from flows.steps import ended, go
from pipeline import plan
from pipeline.errors import GessoError
from pipeline.ledger import STAYED
from pipeline.recipe import load
from pipeline.run import Run
from pipeline.workspace import Workspace

BEFORE, ASSEMBLE = plan.STEPS["prepare"], plan.STEPS["assemble"]
AFTER = tuple(step for part in ("train", "evaluate", "report") for step in plan.STEPS[part])
"""Steps before people are asked, and after it is known whether there is anything new to train on."""
PATIENCE = 86_400.0
"""How long one that was woken waits for another run to leave the workspace, in seconds."""


@flow(flow_run_name="retrain")
def retrain(recipe: str, settings: list[str], workspace: str) -> State[Any]:
    """Prepare; train, evaluate and report only where the training set or the settings are new (else: Skipped)."""
    quiet()
    try:
        place = Workspace.create(Path(workspace))
        woken = gate.begun(place)
        loaded = woken.recipe if woken else load(Path(recipe), settings)
        plan.check_all(loaded)
        command = f"gesso run {recipe}"
        with place.hold(doing=f"{command}, scheduled", wait=PATIENCE if woken else 0.0):
            run = woken or Run.create(place, loaded, command=command)
            with logs.recording(run.folder):
                state = _retrain(run, () if woken else BEFORE)
                if not ended(state):
                    run.save_json("outcome", {"exit_code": 0, **_skipped(state)})
    except GessoError as error:
        state = Failed(message=str(error))
    click.echo(f"retrain: {state.message}", err=True)
    return state


def _retrain(run: Run, first: tuple[str, ...]) -> State[Any]:
    root = str(run.workspace.root)
    state = go(root, run.id, first)
    if ended(state):
        return state
    state = gate.review(run)
    if ended(state):
        return state
    ledger = [row["state"] for row in run.rows("ledger", ("state",))]
    if "awaiting_review" in ledger and not set(ledger) & set(STAYED):
        count = ledger.count("awaiting_review")
        return _skip(f"nothing is decided yet: {count} captions wait for a person (gesso review export {root})")
    state = go(root, run.id, ASSEMBLE)
    if ended(state):
        return state
    if earlier := reported(run):
        digest = run.json("trainset")["digest"][:12]
        return _skip(f"run {earlier} has trained on training set {digest} with these settings already")
    return go(root, run.id, AFTER)


def _skip(reason: str) -> State[Any]:
    return Completed(name="Skipped", message=f"skipped, because {reason}")


def _skipped(state: State[Any]) -> dict[str, Any]:
    return {"skipped": state.message} if state.name == "Skipped" else {}


def reported(run: Run) -> str | None:
    """The id of an earlier run that finished, to its report, the very training that this run asks for."""
    for path in sorted(run.workspace.runs.glob("*/report.html"), reverse=True):
        earlier = Run.open(run.workspace, path.parent.name)
        if earlier.id != run.id and earlier.json("training").get("folder") == run.training.name:
            return earlier.id
    return None
