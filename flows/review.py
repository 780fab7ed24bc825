"""Flow: the gate where a run waits for people, and the training set that their decisions make."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.steps import go
from pipeline.plan import STEPS


@flow(flow_run_name="review-{run_id}")
def review(workspace: str, run_id: str) -> State[Any]:
    """Apply decisions; waits (state AwaitingReview) where the recipe asks for more of them, else assembles."""
    return go(workspace, run_id, (*STEPS["review"], *STEPS["assemble"]))
