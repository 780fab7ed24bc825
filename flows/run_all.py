"""Flow: the whole chain, from a folder of pictures to a fine-tuned model and its report."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.evaluate import evaluate
from flows.prepare import prepare
from flows.review import review
from flows.steps import AWAITING, ended, go, own
from flows.train import train


@flow(flow_run_name="gesso-{run_id}")
def run_all(workspace: str, run_id: str) -> State[Any]:
    """Prepare, review, train, evaluate; ends early, with a report, where people have to decide first."""
    state: State[Any] = Completed()
    for part in (prepare, review, train, evaluate):
        state = part(workspace, run_id, return_state=True)
        if ended(state):
            break
    if state.name == AWAITING:
        go(workspace, run_id, ("report",))
    return own(state)
