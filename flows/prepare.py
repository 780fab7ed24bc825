"""Flow: from the sources' files to selected and captioned pictures."""

from typing import Any

from prefect import flow

from flows.steps import go
from pipeline.plan import STEPS


@flow(flow_run_name="prepare-{run_id}")
def prepare(workspace: str, run_id: str, until: str | None = None) -> Any:  # noqa: ANN401 (a Prefect state)
    """Ingest, measure, select and caption; `until` names the last step to do."""
    steps = STEPS["prepare"]
    return go(workspace, run_id, steps[: steps.index(until) + 1] if until else steps)
