"""`gesso review resume`: wake the flow that sleeps until people have decided."""

from dataclasses import dataclass
from uuid import UUID

from prefect import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import ObjectNotFound
from prefect.flow_runs import resume_flow_run

from flows.gate import NAME
from flows.server import ServerError, reached
from pipeline.errors import AwaitingReview, InputError
from pipeline.review import gate
from pipeline.run import Run
from pipeline.steps.review import rows_of
from pipeline.workspace import Workspace


@dataclass(frozen=True)
class Resumed:
    """A flow that was woken; it goes on as soon as `gesso serve` has it."""

    run: Run
    flow_run: str

    def words(self) -> str:
        """What goes on, and who takes it there."""
        return f"run {self.run.id} goes on (Prefect's flow run {self.flow_run}), at once where gesso serve is running"


def resume(workspace: Workspace, run_id: str | None = None) -> Resumed:
    """Wake the flow of a run, or the one that sleeps, and give it nothing but what is decided.

    Raises:
        InputError: no flow sleeps.
        AwaitingReview: not enough is decided yet; it sleeps on.
        ServerError: Prefect's server does not answer, or does not want to.
    """
    runs = [Run.open(workspace, path.parent.name) for path in sorted(workspace.runs.glob(f"*/{NAME}.json"))]
    runs = [run for run in runs if run_id in (None, run.id)]
    if not runs:
        raise _none(run_id)
    with reached(workspace.root) as address:
        for run in reversed(runs):
            found = _flow_run(run)
            if found and found.state and found.state.is_paused():
                _check(run)
                _wake(found, address)
                return Resumed(run, str(found.id))
    raise _none(run_id)


def _none(run_id: str | None) -> InputError:
    return InputError(
        "no flow sleeps here until people have decided",
        field="--run" if run_id else "WORKSPACE",
        value=run_id,
        remedy="It may have been woken already; without `gesso serve` run the same command again.",
    )


def _check(run: Run) -> None:
    """Make sure that as much is decided as the recipe asks for: a flow that is woken too early only sleeps again."""
    undecided = gate.undecided(rows_of(run), run.recipe.review)
    if undecided:
        raise AwaitingReview(
            f"run {run.id} sleeps on: {len(undecided)} captions wait for a person still "
            f"(review.require: {run.recipe.review.require})"
        )


def _flow_run(run: Run) -> FlowRun | None:
    with get_client(sync_client=True) as client:
        try:
            return client.read_flow_run(UUID(run.json(NAME)["flow_run"]))
        except ObjectNotFound:
            return None


def _wake(found: FlowRun, address: str) -> None:
    try:
        resume_flow_run(found.id)
    except RuntimeError as error:
        raise ServerError(f"Prefect's server at {address} does not wake the flow: {error}") from error
