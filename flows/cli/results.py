"""Commands that show what a workspace holds."""

import json
from pathlib import Path

import click

from flows.cli.options import example, json_option, open_run, run_option, workspace_argument

STATES = (
    "kept",
    "held_out",
    "duplicate",
    "rejected",
    "quarantined",
    "dropped_by_person",
    "awaiting_review",
    "forgotten",
    "mask",
)
"""States of a file; `pipeline.ledger.STATES` has them too, but is slow to import."""


@click.command(epilog=example("gesso report work/photos"))
@workspace_argument
@run_option
@json_option
def report(workspace: Path, run_id: str | None, as_json: bool) -> None:
    """Write a run's HTML report again and print its path."""
    run = open_run(workspace, run_id)

    from flows.progress import Progress
    from pipeline.plan import do
    from pipeline.stage import Tools

    with Progress() as shown:
        path = do(run, "report", Tools(run.workspace, progress=shown.stage))
    click.echo(json.dumps({"run": run.id, "report": path}) if as_json else path)


@click.command(epilog=example("gesso ledger work/photos --state rejected"))
@workspace_argument
@run_option
@click.option("--state", type=click.Choice(STATES), help="Only files in this state.")
@json_option
def ledger(workspace: Path, run_id: str | None, as_json: bool, state: str | None) -> None:
    """Show what became of every file, and why."""
    run = open_run(workspace, run_id)

    from flows.show import ledger_text, ledger_value

    click.echo(json.dumps(ledger_value(run, state)) if as_json else ledger_text(run, state))


@click.command(epilog=example("gesso show work/photos my-photos/dog.jpg"))
@workspace_argument
@click.argument("picture", metavar="SAMPLE_ID_OR_PATH")
@run_option
@json_option
def show(workspace: Path, picture: str, run_id: str | None, as_json: bool) -> None:
    """Show the life of one picture, to the runs that used it."""
    run = open_run(workspace, run_id)

    from flows.life import life, life_text

    found = life(run, picture)
    click.echo(json.dumps(found) if as_json else life_text(found))


@click.command(epilog=example("gesso variety work/photos"))
@workspace_argument
@run_option
@click.option(
    "--clip", default="starter", show_default=True, help="The CLIP that looks: starter, a folder or a hub id."
)
@click.option("--revision", metavar="COMMIT", help="Commit of the hub model.")
@click.option(
    "--similarity",
    type=click.FloatRange(-1, 1),
    default=0.9,
    show_default=True,
    help="Cosine from which two pictures share a viewpoint.",
)
@json_option
def variety(
    workspace: Path, run_id: str | None, clip: str, revision: str | None, similarity: float, as_json: bool
) -> None:
    """Say how varied the kept pictures are.

    Writes a page with viewpoints side by side, and with those unlike the rest, in the run's folder.
    """
    run = open_run(workspace, run_id)

    from flows.progress import Progress
    from pipeline import varied
    from pipeline.stage import Tools
    from pipeline.steps.embed import Params

    with Progress() as shown:
        tools = Tools(run.workspace, progress=shown.stage)
        found = varied.look(run, tools, Params(clip=clip, revision=revision), similarity=similarity)
    page = varied.write(run, found)
    click.echo(json.dumps(varied.value(run, found, page)) if as_json else varied.text(run, found, page))


@click.command(epilog=example("gesso tags work/photos --vocabulary words.txt --to limits.txt"))
@workspace_argument
@run_option
@click.option(
    "--vocabulary", type=click.Path(path_type=Path), required=True, help="A text file with a tag on each line."
)
@click.option("--to", "path", type=click.Path(path_type=Path), required=True, help="Where to write it with limits.")
@click.option(
    "--precision",
    type=click.FloatRange(0, 1),
    default=0.9,
    show_default=True,
    help="The share of tagged pictures that show the tag.",
)
@json_option
def tags(workspace: Path, run_id: str | None, vocabulary: Path, path: Path, precision: float, as_json: bool) -> None:
    """Measure from which score of CLIP on a tag holds."""
    run = open_run(workspace, run_id)

    from flows.tagging import limits

    found = limits(run, vocabulary, path, precision=precision)
    click.echo(json.dumps(found.value()) if as_json else found.words())


COMMANDS = (report, ledger, show, variety, tags)
