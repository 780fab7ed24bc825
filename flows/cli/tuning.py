"""The command that searches for better settings."""

import json
from pathlib import Path

import click

from flows.cli.chain import command_line
from flows.cli.options import example, load, run_options


@click.command(epilog=example("gesso tune datasets/photos.yaml --trials 20"))
@run_options
@click.option("--trials", type=click.IntRange(1), help="Trainings to try; default: the recipe's tune.trials.")
def tune(
    recipe: Path,
    workspace: str | None,
    settings: tuple[str, ...],
    engine: str,
    as_json: bool,
    verbose: bool,
    trials: int | None,
) -> None:
    """Search for better settings of the training.

    Tries trainings within the recipe's tune.ranges and judges them by the held-out loss. A search that was stopped goes
    on. Ends with a report and the best recipe.
    """
    if trials is not None:
        settings = (*settings, f"tune.trials={trials}")
    loaded = load(recipe, settings)

    from flows import engine as engines
    from flows.settings import workspace_path
    from flows.show import search, search_value

    engines.go(
        loaded,
        workspace_path(workspace, loaded.name),
        engine=engine,
        part="tune",
        command=command_line(),
        show=(lambda run: json.dumps(search_value(run))) if as_json else search,
        verbose=verbose,
    )
