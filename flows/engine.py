"""Takes a recipe through its steps, as Prefect flows or as plain functions, and tells how it ended."""

import time
from pathlib import Path

import click

from flows import settings
from flows.show import summary
from pipeline import plan
from pipeline.errors import AwaitingReview, GessoError, UserError
from pipeline.recipe import Recipe
from pipeline.run import Run
from pipeline.workspace import Workspace

PARTS = {
    "run": plan.ALL_STEPS,
    "prepare": (*plan.STEPS["prepare"], "report"),
    "train": (*(step for part in ("prepare", "review", "assemble", "train") for step in plan.STEPS[part]), "report"),
}
"""Steps of each command."""


class _Ended(GessoError):
    """A step ended the run; the message and exit code are those of its error."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def go(recipe: Recipe, folder: Path, *, engine: str, part: str, until: str = "", command: str) -> Run:
    """Run `part` of a recipe in the workspace at `folder`, print its summary, and return the run.

    Raises:
        GessoError: a step failed, or people have to decide first (exit code 3).
    """
    steps = PARTS[part]
    if until:
        if until not in plan.STEPS["prepare"]:
            raise UserError(
                "there is no such step", field="--until", value=until, remedy=f"One of {', '.join(plan.STEPS['prepare'])}."
            )
        steps = steps[: steps.index(until) + 1]
    began = time.monotonic()
    workspace = Workspace.create(folder)
    with workspace.lock("run"):
        run = Run.create(workspace, recipe, command=command)
        waiting: AwaitingReview | None = None
        if engine == "plain":
            waiting = _plain(run, steps)
        else:
            _prefect(run, part, steps)
    seconds = time.monotonic() - began
    run.save_json("outcome", {"exit_code": 0, "seconds": round(seconds, 1)} if not waiting else {"exit_code": 3})
    click.echo(summary(run, seconds))
    if waiting:
        raise waiting
    return run


def _plain(run: Run, steps: tuple[str, ...]) -> AwaitingReview | None:
    tools = settings.tools(run.workspace)
    for step in steps:
        try:
            tools.say(f"{step}: {plan.do(run, step, tools)}")
        except AwaitingReview as waiting:
            plan.do(run, "report", tools)
            return waiting
    return None


def _prefect(run: Run, part: str, steps: tuple[str, ...]) -> None:
    from flows.chain import chain
    from flows.run_all import run_all

    place = str(run.workspace.root)
    state = run_all(place, run.id, return_state=True) if part == "run" else chain(place, run.id, list(steps), return_state=True)
    outcome = run.json("outcome")
    if outcome.get("exit_code"):
        click.echo(summary(run, None))
        raise _Ended(outcome["error"], outcome["exit_code"])
    if not state.is_completed():
        raise _Ended(f"the flow ended as {state.name}: {state.message}", 1)
