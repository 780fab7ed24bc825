"""One Prefect task for each step of a run, and the ways to go through them with or without Prefect.

The truth about what is done is the workspace. A step that fails for a reason that people can understand leaves its
message in the run's `outcome.json`; no traceback travels through Prefect for it.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed, Failed

from flows import settings
from pipeline import plan
from pipeline.errors import AwaitingReview, GessoError
from pipeline.run import Run
from pipeline.workspace import Workspace


@task(task_run_name="{name}", cache_policy=NO_CACHE)
def step(workspace: str, run_id: str, name: str) -> Any:  # noqa: ANN401 (a Prefect state)
    """Do one step of a run; the task's state carries the step's summary or its error."""
    run = Run.open(Workspace.open(Path(workspace)), run_id)
    tools = settings.tools(run.workspace)
    try:
        said = plan.do(run, name, tools)
    except GessoError as error:
        run.save_json("outcome", {"step": name, "error": str(error), "exit_code": error.exit_code})
        if isinstance(error, AwaitingReview):
            return Completed(name="AwaitingReview", message=str(error))
        return Failed(message=str(error))
    tools.say(f"{name}: {said}")
    return Completed(message=said)


def go(workspace: str, run_id: str, names: Iterable[str]) -> Any:  # noqa: ANN401 (a Prefect state)
    """Go through steps inside a flow; ends at the first one that fails or waits, with its state."""
    state = Completed(message="nothing to do")
    for name in names:
        state = step(workspace, run_id, name, return_state=True)
        if state.is_failed() or state.name == "AwaitingReview":
            return Failed(message=state.message) if state.is_failed() else state
        if name == "report":
            path = Path(workspace).resolve() / "runs" / run_id / "report.html"
            create_markdown_artifact(
                key="report", markdown=f"[{path.name}]({path.as_uri()})\n\n{state.message}", description="gesso's report"
            )
    return Completed(message=state.message)
