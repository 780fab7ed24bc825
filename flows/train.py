"""Flow: fine-tune on an assembled training set."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.steps import go
from pipeline.plan import STEPS


@flow(flow_run_name="train-{run_id}")
def train(workspace: str, run_id: str) -> State[Any]:
    """Train, or go on with a training that was stopped."""
    return go(workspace, run_id, STEPS["train"])
