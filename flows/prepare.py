"""Flow: from the sources' files to selected and captioned pictures."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.steps import go
from pipeline.plan import STEPS


@flow(flow_run_name="prepare-{run_id}")
def prepare(workspace: str, run_id: str) -> State[Any]:
    """Ingest, measure, select and caption."""
    return go(workspace, run_id, STEPS["prepare"])
