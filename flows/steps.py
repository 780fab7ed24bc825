"""One Prefect task for each step of a run, and the way through several of them inside a flow.

The truth about what is done is the workspace, so caching is off. A step that fails for a reason that people can
understand ends its task and its flow as Failed with that message; no traceback travels through Prefect for it.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from prefect import task
from prefect.artifacts import create_link_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows import settings
from flows.attempt import WAITING, attempt
from pipeline.run import Run
from pipeline.workspace import Workspace

AWAITING = "AwaitingReview"
"""Name of the state, Completed by type, of a flow that people have to decide something for."""


@task(task_run_name="{name}", cache_policy=NO_CACHE)
def step(workspace: str, run_id: str, name: str) -> State[Any]:
    """Do one step of a run; the task's state carries the step's summary or its error."""
    run = Run.open(Workspace.open(Path(workspace)), run_id)
    with settings.tools(run.workspace) as tools:
        outcome = attempt(run, name, tools)
    if outcome.exit_code == WAITING:
        return Completed(name=AWAITING, message=outcome.message)
    if outcome.exit_code:
        return Failed(message=outcome.message)
    return Completed(message=outcome.message)


def go(workspace: str, run_id: str, names: Iterable[str]) -> State[Any]:
    """Go through steps inside a flow; ends at the first one that fails or waits, with its state."""
    state: State[Any] = Completed(message="nothing to do")
    for name in names:
        state = step(workspace, run_id, name, return_state=True)
        if ended(state):
            break
        if name == "report":
            path = Path(workspace).resolve() / "runs" / run_id / "report.html"
            create_link_artifact(path.as_uri(), link_text=path.name, key="report", description=f"Report of {run_id}")
    return own(state)


def own(state: State[Any]) -> State[Any]:
    """The end of a task or a flow as that of the flow around it; Prefect would pass on no name or message of theirs."""
    return Completed(name=state.name, message=state.message) if state.is_completed() else Failed(message=state.message)


def ended(state: State[Any]) -> bool:
    """Whether a state ends a run early: it failed, or people have to decide first."""
    return not state.is_completed() or state.name == AWAITING
