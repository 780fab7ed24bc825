"""Options and arguments that several commands share, and what they are turned into."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from pipeline.recipe import Recipe
    from pipeline.run import Run

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}

Command = TypeVar("Command", bound=Callable[..., Any])


def example(text: str) -> str:
    """The end of a command's help: an example that can be typed."""
    return f"Example:  {text}"


recipe_argument = click.argument("recipe", type=click.Path(path_type=Path))
workspace_argument = click.argument("workspace", type=click.Path(path_type=Path))
workspace_option = click.option(
    "--workspace", "-w", metavar="FOLDER", help="Where everything is kept; default: work/<recipe's name>."
)
set_option = click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a key of the recipe, such as train.steps=200."
)
engine_option = click.option(
    "--engine",
    type=click.Choice(["prefect", "plain"]),
    default="prefect",
    show_default=True,
    help="Run as Prefect flows, or as plain functions.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for a script.")
verbose_option = click.option("--verbose", "-v", is_flag=True, help="Show the run's log while it runs.")
processes_option = click.option(
    "--processes",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Train with so many processes on this machine, which share each batch out: one for each GPU.",
)
run_option = click.option("--run", "run_id", metavar="RUN", help="A run's id; default: the latest.")


def recipe_options(command: Command) -> Command:
    """Give a command the argument RECIPE and the options that say how it is read and where it runs."""
    return recipe_argument(workspace_option(set_option(command)))


def run_options(command: Command) -> Command:
    """Give a command what every one that makes a run has: `recipe_options`, the engine, --json and --verbose."""
    return recipe_options(engine_option(json_option(verbose_option(command))))


def load(recipe: Path, settings: tuple[str, ...]) -> "Recipe":
    """The recipe with its settings, and what is wrong with it that can be seen at once.

    Raises:
        UserError: it cannot be read, or asks for something that is not there.
    """
    from pipeline import plan
    from pipeline.recipe import load

    loaded = load(recipe, settings)
    plan.check(loaded)
    return loaded


def open_run(workspace: Path, run_id: str | None) -> "Run":
    """A run of a workspace: the one named, else the latest that has a ledger.

    Raises:
        WorkspaceError: there is no workspace, or no such run in it.
    """
    from pipeline.errors import WorkspaceError
    from pipeline.run import Run
    from pipeline.workspace import Workspace

    opened = Workspace.open(workspace)
    latest = opened.latest_run()
    if run_id is not None:
        return Run.open(opened, run_id)
    if latest is None:
        raise WorkspaceError(
            "no run in this workspace has got as far as a ledger",
            field="WORKSPACE",
            value=str(workspace),
            remedy="Run `gesso prepare RECIPE` first.",
        )
    return Run.open(opened, latest.name)
