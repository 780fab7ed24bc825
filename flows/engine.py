"""Takes a recipe through its steps, as Prefect flows or as plain functions, and tells how it ended."""

import sys
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from flows import logs, settings
from flows.attempt import WAITING, attempt
from flows.show import summary
from pipeline import plan
from pipeline.errors import GessoError
from pipeline.recipe import Recipe
from pipeline.run import Run
from pipeline.workspace import Workspace

PARTS = {
    "run": plan.ALL_STEPS,
    "prepare": (*plan.STEPS["prepare"], "report"),
    "train": (*(step for part in ("prepare", "review", "assemble", "train") for step in plan.STEPS[part]), "report"),
    "tune": (*(step for part in ("prepare", "review", "assemble") for step in plan.STEPS[part]), "tune"),
}
"""Steps of each command."""


class EndedError(GessoError):
    """A step ended the run; the message and exit code are those of its error."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def go(
    recipe: Recipe,
    folder: Path,
    *,
    engine: str,
    part: str,
    until: str = "",
    command: str,
    show: Callable[[Run], str] = summary,
    verbose: bool = False,
) -> Run:
    """Run `part` of a recipe in the workspace at `folder`, print what `show` makes of the run, and return it.

    `engine` is `prefect` or `plain`; `until` ends `prepare` after that step, without a report; `command` is what a
    person would type to do it again; `verbose` shows the log's lines while it runs.

    Raises:
        UserError: the recipe asks for what is not there; nothing was touched.
        WorkspaceError: the workspace is no folder, cannot be written, or is in use.
        EndedError: a step failed, or people have to decide first (exit code 3).
    """
    steps = PARTS[part]
    if until:
        steps = steps[: steps.index(until) + 1]
    began = time.monotonic()
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        # a file or a folder of other things is told of before the slow checks; nothing new is made before them
        Workspace.create(folder)
    plan.check_all(recipe, steps)
    workspace = Workspace.create(folder)
    with workspace.hold(doing=command):
        run = Run.create(workspace, recipe, command=command)
        with logs.recording(run.folder, verbose=verbose):
            ended = _plain(run, steps) if engine == "plain" else _prefect(run, part, steps)
    # on a full disk the run's folder may say nothing of how it ended
    outcome = {"exit_code": 0, **ended, **run.json("outcome"), "seconds": round(time.monotonic() - began, 1)}
    with suppress(OSError) if outcome["exit_code"] else nullcontext():
        run.save_json("outcome", outcome)
    click.echo(show(run))
    if outcome["exit_code"]:
        raise EndedError(outcome["message"], outcome["exit_code"])
    return run


def _plain(run: Run, steps: tuple[str, ...]) -> dict[str, Any]:
    """Do the steps; the outcome of one that ended the run early."""
    with settings.tools(run.workspace) as tools:
        for step in steps:
            outcome = attempt(run, step, tools)
            if outcome.exit_code:
                if outcome.exit_code == WAITING:
                    attempt(run, "report", tools)
                return asdict(outcome)
    return {}


def _prefect(run: Run, part: str, steps: tuple[str, ...]) -> dict[str, Any]:
    """Do the steps as a flow; what is to be said of one that did not complete."""
    from flows.chain import chain
    from flows.run_all import run_all
    from flows.server import ServerError, server
    from flows.tune import tune

    place = str(run.workspace.root)
    if sys.stderr.isatty():  # its server takes its time, and nothing else is heard of meanwhile
        click.echo("starting Prefect; `--engine plain` does without it", err=True)
    try:
        # not Prefect's temporary server, which a terminal's Ctrl-C reaches, too: the flows would wait for it in vain
        with server(run.workspace.root):
            if part == "run":
                state = run_all(place, run.id, return_state=True)
            elif part == "tune":
                state = tune(place, run.id, return_state=True)
            else:
                state = chain(place, run.id, list(steps), return_state=True)
    except (RuntimeError, ServerError) as error:  # the server does not start, or the one that is named is not there
        raise EndedError(f"Prefect: {error} `--engine plain` does without it.", 1) from error
    return {} if state.is_completed() else {"exit_code": 1, "message": state.message or f"the flow is {state.name}"}
