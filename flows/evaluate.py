"""Flow: measure what training changed, render samples, and write the report."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.steps import go
from pipeline.plan import STEPS


@flow(flow_run_name="evaluate-{run_id}")
def evaluate(workspace: str, run_id: str) -> State[Any]:
    """Evaluate checkpoints against the base model, then report."""
    return go(workspace, run_id, (*STEPS["evaluate"], *STEPS["report"]))
