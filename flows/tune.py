"""Flow: search for better settings of a training."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.steps import AWAITING, ended, go, own
from pipeline.plan import STEPS


@flow(flow_run_name="tune-{run_id}")
def tune(workspace: str, run_id: str) -> State[Any]:
    """Prepare the training set, then try trial after trial; ends early where people have to decide first."""
    state = go(workspace, run_id, [step for part in ("prepare", "review", "assemble") for step in STEPS[part]])
    if state.name == AWAITING:
        go(workspace, run_id, ("report",))
    if ended(state):
        return state
    return own(go(workspace, run_id, ("tune",)))
