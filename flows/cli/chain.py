"""Commands that take a recipe through its steps, or say what they would do."""

import json
import shlex
import sys
from pathlib import Path

import click

from flows.cli.options import (
    engine_option,
    example,
    json_option,
    load,
    open_run,
    processes_option,
    recipe_options,
    run_options,
    verbose_option,
    workspace_option,
)

UNTIL = ("ingest", "measure", "select", "caption")
"""Steps of `gesso prepare`; `pipeline.plan.STEPS` has them too, but is slow to import."""


def command_line() -> str:
    """What was typed."""
    return shlex.join(["gesso", *sys.argv[1:]])


def _go(
    recipe: Path,
    settings: tuple[str, ...],
    workspace: str | None,
    *,
    engine: str,
    part: str,
    until: str = "",
    as_json: bool,
    verbose: bool,
    processes: int = 1,
) -> None:
    from flows import launch

    with launch.processes(processes) as place:
        if place and place.rank:
            launch.follow(place)
            return
        loaded = load(recipe, settings)
        if place:
            launch.check(loaded)

        from flows import engine as engines
        from flows.settings import workspace_path
        from flows.show import summary, summary_value

        engines.go(
            loaded,
            workspace_path(workspace, loaded.name),
            engine=engine,
            part=part,
            until=until,
            command=command_line(),
            show=(lambda run: json.dumps(summary_value(run))) if as_json else summary,
            verbose=verbose,
        )


@click.command(epilog=example("gesso run datasets/photos.yaml --set sources.0.path=my-photos"))
@run_options
@processes_option
def run(
    recipe: Path,
    workspace: str | None,
    settings: tuple[str, ...],
    engine: str,
    as_json: bool,
    verbose: bool,
    processes: int,
) -> None:
    """Do everything that RECIPE asks for.

    Prepares, reviews, trains, evaluates and reports. What was done before is not done again.
    """
    _go(recipe, settings, workspace, engine=engine, part="run", as_json=as_json, verbose=verbose, processes=processes)


@click.command(epilog=example("gesso prepare datasets/photos.yaml --until select"))
@run_options
@click.option("--until", type=click.Choice(UNTIL), help="Last step to do; default: all of them and a report.")
def prepare(
    recipe: Path,
    workspace: str | None,
    settings: tuple[str, ...],
    engine: str,
    until: str | None,
    as_json: bool,
    verbose: bool,
) -> None:
    """Measure, select and caption pictures; train nothing."""
    _go(
        recipe,
        settings,
        workspace,
        engine=engine,
        part="prepare",
        until=until or "",
        as_json=as_json,
        verbose=verbose,
    )


@click.command(epilog=example("gesso select datasets/photos.yaml --what-if sharpness__score.min=0.3"))
@recipe_options
@click.option(
    "--what-if",
    "changes",
    multiple=True,
    required=True,
    metavar="COLUMN.BOUND=VALUE",
    help="A limit to try, such as sharpness__score.min=0.3 or dedup.near.distance=4; may come several times.",
)
@json_option
def select(
    recipe: Path, workspace: str | None, settings: tuple[str, ...], changes: tuple[str, ...], as_json: bool
) -> None:
    """Say what other limits would gain and lose.

    Changes nothing: reads what the latest run has measured, and writes a page with the pictures beside that run.
    """
    loaded = load(recipe, settings)
    limits = (one if one.startswith("dedup.") else f"select.{one}" for one in changes)
    tried = load(recipe, (*settings, *limits))

    from flows.settings import workspace_path
    from pipeline import whatif

    run = open_run(workspace_path(workspace, loaded.name), None)
    found = whatif.compare(run, loaded, tried)
    page = whatif.write(run, found, changes)
    click.echo(json.dumps(whatif.value(found, page)) if as_json else whatif.words(found, page))


@click.command(epilog=example("gesso train datasets/photos.yaml"))
@run_options
@processes_option
def train(
    recipe: Path,
    workspace: str | None,
    settings: tuple[str, ...],
    engine: str,
    as_json: bool,
    verbose: bool,
    processes: int,
) -> None:
    """Prepare what is missing, then train.

    A training that was stopped goes on where it was. Ends with a report.
    """
    _go(recipe, settings, workspace, engine=engine, part="train", as_json=as_json, verbose=verbose, processes=processes)


@click.command(epilog=example("gesso evaluate datasets/photos.yaml"))
@run_options
@processes_option
def evaluate(
    recipe: Path,
    workspace: str | None,
    settings: tuple[str, ...],
    engine: str,
    as_json: bool,
    verbose: bool,
    processes: int,
) -> None:
    """Render samples and measure what training changed.

    Does what is missing before that, too. Ends with a report.
    """
    _go(recipe, settings, workspace, engine=engine, part="run", as_json=as_json, verbose=verbose, processes=processes)


@click.command(epilog=example("gesso plan datasets/photos.yaml"))
@recipe_options
@json_option
def plan(recipe: Path, workspace: str | None, settings: tuple[str, ...], as_json: bool) -> None:
    """Say what is cached, and what a training takes; run nothing."""
    loaded = load(recipe, settings)

    from flows.settings import device, workspace_path
    from pipeline import augment
    from pipeline.outlook import look, words

    augment.check(loaded.augment.transforms)
    found = look(loaded, workspace_path(workspace, loaded.name), device=device())
    click.echo(json.dumps(found) if as_json else words(found))


@click.command(epilog=example("gesso demo"))
@workspace_option
@engine_option
@verbose_option
def demo(workspace: str | None, engine: str, verbose: bool) -> None:
    """Show the whole chain on drawn pictures, offline.

    Gesso draws the pictures itself and uses the small models that ship with it; no GPU is needed.
    """
    from flows.demo import demo as run_demo

    run_demo(workspace, engine, command_line(), verbose=verbose)


@click.command(epilog=example("gesso serve datasets/photos.yaml --cron '0 3 * * *'"))
@recipe_options
@click.option("--cron", metavar="CRON", help="When to re-train, such as '0 3 * * *' for every night at three (UTC).")
@click.option(
    "--every", "seconds", type=click.IntRange(1), metavar="SECONDS", help="Re-train in this interval instead."
)
def serve(
    recipe: Path, workspace: str | None, settings: tuple[str, ...], cron: str | None, seconds: int | None
) -> None:
    """Re-train on a schedule until stopped.

    Deploys the re-training of RECIPE to Prefect and serves it. A run that finds nothing new is skipped and says so; one
    that comes while another is at work is cancelled.
    """
    if (cron is None) == (seconds is None):
        raise click.UsageError("A schedule is needed: --cron '0 3 * * *' for every night at three, or --every SECONDS.")
    loaded = load(recipe, settings)

    from flows.deployments import serve as serve_retraining
    from flows.settings import workspace_path
    from pipeline import augment

    augment.check(loaded.augment.transforms)
    serve_retraining(recipe, settings, workspace_path(workspace, loaded.name), cron=cron, seconds=seconds)


COMMANDS = (run, prepare, select, train, evaluate, plan, demo, serve)
