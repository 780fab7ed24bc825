"""Flow: any steps of a run in order, for commands that do less than everything."""

from typing import Any

from prefect import flow

from flows.steps import go


@flow(flow_run_name="chain-{run_id}")
def chain(workspace: str, run_id: str, steps: list[str]) -> Any:  # noqa: ANN401 (a Prefect state)
    """Do the named steps."""
    return go(workspace, run_id, steps)
