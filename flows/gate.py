"""The gate of a deployed flow: it writes the review file, falls asleep, and goes on once people have decided.

Asleep means that no process is left: what waits is a row in the server's database (state Suspended) and `gate.json` in
the run's folder, so that the server, whoever serves and the machine may be killed and started again. An `Answer` wakes
it: `gesso review apply --resume`, `gesso review resume`, or the form of Prefect's page. One that cannot be applied, or
that leaves captions undecided, is told, and the flow falls asleep again.
"""

from pathlib import Path
from typing import Any
from uuid import UUID

import click
from prefect import get_client, suspend_flow_run
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import State, StateType
from prefect.input import RunInput
from prefect.runtime import deployment, flow_run
from prefect.states import Completed
from pydantic import Field

from flows import reviewing
from flows.steps import AWAITING, go
from pipeline.errors import GessoError
from pipeline.plan import STEPS
from pipeline.review import gate
from pipeline.review.order import Wanted
from pipeline.run import Run
from pipeline.steps.review import rows_of
from pipeline.workspace import Workspace

NAME = "gate"
"""Name of the run's facts about its sleep: the `flow_run`, how often it has `asked`, the review `file`, a `problem`."""


class Answer(RunInput):
    """What wakes a flow: a reviewed file to apply, or nothing where decisions were applied already."""

    file: str = Field("", description="A reviewed file to apply, by its whole path; empty: all is applied already.")
    reviewer: str = Field("", description="Who decided all of it; empty: as the file says.")
    accept_rest: bool = Field(default=False, description="Accept every caption left blank, recorded as unread.")


def begun(workspace: Workspace) -> Run | None:
    """The run that this flow run had begun before it fell asleep, if it had."""
    for path in workspace.runs.glob(f"*/{NAME}.json"):
        run = Run.open(workspace, path.parent.name)
        if run.json(NAME)["flow_run"] == flow_run.id:
            return run
    return None


def review(run: Run) -> State[Any]:
    """Do the step `review`; where people have to decide first and the flow is deployed, fall asleep until they have.

    A flow that is not deployed cannot sleep: it ends, as one does that finds another of its deployment asleep.

    Raises:
        Pause: it falls asleep. The process is to end; Prefect begins the flow from its start once it is woken.
        ReviewError: the review file cannot be written.
    """
    told = run.json(NAME)
    problem = _taken(run, told["asked"]) if told else ""
    state = go(str(run.workspace.root), run.id, STEPS["review"])
    if state.name != AWAITING or deployment.id is None:
        return state
    go(str(run.workspace.root), run.id, STEPS["report"])
    if other := _asleep(deployment.id):
        return Completed(name=AWAITING, message=f"{state.message} Flow run {other} sleeps until then; this one ends.")
    _sleep(run, told.get("asked", 0) + 1, problem)
    return state


def _taken(run: Run, asked: int) -> str:
    """Apply what was answered; what is wrong with it, or nothing."""
    answer = suspend_flow_run(wait_for_input=Answer, key=_key(asked))
    if not answer.file:
        return ""
    try:
        found = reviewing.look(
            run, Path(answer.file), reviewer=answer.reviewer or None, accept_rest=answer.accept_rest, tell=_say
        )
        _say(reviewing.apply(found).words())
    except GessoError as error:
        return str(error)
    return ""


def _sleep(run: Run, asked: int, problem: str) -> None:
    undecided = gate.undecided(rows_of(run), run.recipe.review)
    file = run.folder.resolve() / "review.csv"
    if not file.exists():
        reviewing.export(run, file, replace=False, wanted=Wanted(sample_ids=frozenset(undecided)))
    root = run.workspace.root.resolve()
    command = f"gesso review apply {root} {file} --run {run.id} --resume"
    told = f"{len(undecided)} captions wait for a person. Edit {file}, then: {command}"
    told = f"The answer was not taken: {problem}\n\n{told}" if problem else told
    # written down first: whatever dies from here on, the run is found again
    run.save_json(NAME, {"flow_run": flow_run.id, "asked": asked, "file": str(file), "problem": problem})
    create_markdown_artifact(told, key="review", description=f"What {run.id} waits for")
    _say(told)
    suspend_flow_run(wait_for_input=Answer.with_initial_data(description=told), key=_key(asked))


def _asleep(deployed: str) -> str | None:
    """Another flow run of the deployment that is asleep."""
    asleep = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.PAUSED]))
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(
            deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[UUID(deployed)])),
            flow_run_filter=FlowRunFilter(state=asleep),
        )
    return str(found[0].id) if found else None


def _key(asked: int) -> str:
    return f"review-{asked}"


def _say(text: str) -> None:
    click.echo(f"retrain: {text}", err=True)
