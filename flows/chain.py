"""Flow: any steps of a run in order, for commands that do less than everything."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.steps import AWAITING, go


@flow(flow_run_name="chain-{run_id}")
def chain(workspace: str, run_id: str, steps: list[str]) -> State[Any]:
    """Do the named steps; ends early, with a report, where people have to decide first."""
    state = go(workspace, run_id, steps)
    if state.name == AWAITING:
        go(workspace, run_id, ("report",))
    return state
