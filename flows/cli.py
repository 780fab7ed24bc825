"""The `gesso` command. Every import that costs time happens inside the command that needs it."""

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from pipeline.errors import GessoError

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}
EXITS = "Exit codes: 0 done; 1 failed; 2 bad usage, recipe or input; 3 waiting for review."


class Commands(click.Group):
    """A group whose errors are one message, never a traceback."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 (click's own signature)
        """Run a command and turn gesso's errors into their exit codes."""
        try:
            return super().invoke(ctx)
        except GessoError as error:
            click.echo(f"gesso: {error}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("gesso: stopped; what was done is kept, run the same command again to go on", err=True)
            ctx.exit(130)


def example(text: str) -> str:
    """The end of a command's help: an example that can be typed."""
    return f"Example:  {text}"


@click.group(cls=Commands, context_settings=CONTEXT, epilog=EXITS)
@click.version_option(package_name="gesso")
def main() -> None:
    """Prepare pictures, fine-tune Stable Diffusion on them, and show what came out."""
    from flows.settings import quiet

    quiet()


recipe_argument = click.argument("recipe", type=click.Path(path_type=Path))
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
workspace_argument = click.argument("workspace", type=click.Path(path_type=Path))
run_option = click.option("--run", "run_id", metavar="RUN", help="A run's id; default: the latest.")


def _load(recipe: Path, settings: tuple[str, ...]) -> Any:  # noqa: ANN401 (a Recipe; its module is not imported yet)
    from pipeline import plan
    from pipeline.recipe import load

    loaded = load(recipe, settings)
    plan.check(loaded)
    return loaded


def _command() -> str:
    return shlex.join(["gesso", *sys.argv[1:]])


def _go(recipe: Path, settings: tuple[str, ...], workspace: str | None, engine: str, parts: str, until: str = "") -> None:
    from flows import engine as engines
    from flows.settings import workspace_path

    loaded = _load(recipe, settings)
    engines.go(loaded, workspace_path(workspace, loaded.name), engine=engine, part=parts, until=until, command=_command())


@main.command(epilog=example("gesso run datasets/photos.yaml --set sources.0.path=my-photos"))
@recipe_argument
@workspace_option
@set_option
@engine_option
def run(recipe: Path, workspace: str | None, settings: tuple[str, ...], engine: str) -> None:
    """Do everything that RECIPE asks for: prepare, review, train, evaluate, report."""
    _go(recipe, settings, workspace, engine, "run")


@main.command(epilog=example("gesso prepare datasets/photos.yaml --until select"))
@recipe_argument
@workspace_option
@set_option
@engine_option
@click.option("--until", metavar="STEP", default="", help="Last step to do: ingest, measure, select or caption.")
def prepare(recipe: Path, workspace: str | None, settings: tuple[str, ...], engine: str, until: str) -> None:
    """Ingest, measure, deduplicate, select and caption; then report. Trains nothing."""
    _go(recipe, settings, workspace, engine, "prepare", until)


@main.command(epilog=example("gesso train datasets/photos.yaml"))
@recipe_argument
@workspace_option
@set_option
@engine_option
def train(recipe: Path, workspace: str | None, settings: tuple[str, ...], engine: str) -> None:
    """Prepare what is missing, then train, or go on with a training that was stopped."""
    _go(recipe, settings, workspace, engine, "train")


@main.command(epilog=example("gesso evaluate datasets/photos.yaml"))
@recipe_argument
@workspace_option
@set_option
@engine_option
def evaluate(recipe: Path, workspace: str | None, settings: tuple[str, ...], engine: str) -> None:
    """Do what is missing up to the evaluation, render samples and measure; then report."""
    _go(recipe, settings, workspace, engine, "run")


@main.command(epilog=example("gesso plan datasets/photos.yaml"))
@recipe_argument
@workspace_option
@set_option
@json_option
def plan(recipe: Path, workspace: str | None, settings: tuple[str, ...], as_json: bool) -> None:
    """Say what is cached and what is missing. Runs nothing and changes nothing."""
    from flows.settings import workspace_path
    from pipeline.outlook import look, words

    loaded = _load(recipe, settings)
    found = look(loaded, workspace_path(workspace, loaded.name))
    click.echo(json.dumps(found) if as_json else words(found))


@main.command(epilog=example("gesso report work/photos"))
@workspace_argument
@run_option
def report(workspace: Path, run_id: str | None) -> None:
    """Write the HTML report of a run again and print its path."""
    from flows.settings import tools
    from pipeline.plan import do

    run = _run(workspace, run_id)
    click.echo(do(run, "report", tools(run.workspace)))


def _run(workspace: Path, run_id: str | None) -> Any:  # noqa: ANN401 (a Run)
    from pipeline.errors import WorkspaceError
    from pipeline.run import Run
    from pipeline.workspace import Workspace

    opened = Workspace.open(workspace)
    latest = opened.latest_run()
    if run_id is None and latest is None:
        raise WorkspaceError(
            "no run in this workspace has got as far as a ledger",
            field="WORKSPACE",
            value=str(workspace),
            remedy="Run `gesso prepare RECIPE` first.",
        )
    return Run.open(opened, run_id or latest.name)  # type: ignore[union-attr]


@main.command(epilog=example("gesso ledger work/photos --state rejected"))
@workspace_argument
@run_option
@json_option
@click.option("--state", metavar="STATE", help="Only files in this state, such as rejected.")
def ledger(workspace: Path, run_id: str | None, as_json: bool, state: str | None) -> None:
    """Show what became of every file, with reasons and totals that add up."""
    from flows.show import ledger_text

    run = _run(workspace, run_id)
    rows = [row for row in run.rows("ledger") if state in (None, row["state"])]
    click.echo(json.dumps({"run": run.id, "rows": rows}) if as_json else ledger_text(run, rows))


@main.command(epilog=example("gesso show work/photos my-photos/dog.jpg"))
@workspace_argument
@click.argument("picture", metavar="SAMPLE_ID_OR_PATH")
@run_option
@json_option
def show(workspace: Path, picture: str, run_id: str | None, as_json: bool) -> None:
    """Show the life of one picture: where it came from, what was measured, decided, captioned and trained."""
    from flows.show import life, life_text

    found = life(_run(workspace, run_id), picture)
    click.echo(json.dumps(found, default=str) if as_json else life_text(found))


@main.group(context_settings=CONTEXT)
def review() -> None:
    """Export captions for people, and apply what they decided."""


@review.command("export", epilog=example("gesso review export work/photos --to captions.csv"))
@workspace_argument
@run_option
@click.option("--to", "path", type=click.Path(path_type=Path), help="The CSV file; default: <workspace>/review.csv.")
@click.option("--replace", is_flag=True, help="Replace an export that is there already, and edits in it.")
def review_export(workspace: Path, run_id: str | None, path: Path | None, replace: bool) -> None:
    """Write captions and thumbnails for people to review in a spreadsheet."""
    from flows.reviewing import export

    click.echo(export(_run(workspace, run_id), path or workspace / "review.csv", replace=replace))


@review.command("apply", epilog=example("gesso review apply work/photos captions.csv"))
@workspace_argument
@click.argument("file", type=click.Path(path_type=Path))
@run_option
@click.option("--reviewer", metavar="NAME", help="Who decided; default: your user name.")
@click.option("--dry-run", is_flag=True, help="Check and show what would change; change nothing.")
@click.option("--accept-rest", is_flag=True, help="Accept every caption left blank, recorded as unread.")
@click.option("--force", is_flag=True, help="Take edits of captions that have changed since the export, too.")
def review_apply(
    workspace: Path,
    file: Path,
    run_id: str | None,
    reviewer: str | None,
    dry_run: bool,
    accept_rest: bool,
    force: bool,
) -> None:
    """Check a reviewed CSV, show what it changes, and apply all of it or nothing."""
    import getpass

    from flows.reviewing import apply

    run = _run(workspace, run_id)
    click.echo(
        apply(run, file, reviewer=reviewer or getpass.getuser(), dry_run=dry_run, accept_rest=accept_rest, force=force)
    )


@main.command("list", epilog=example("gesso list scorers"))
@click.argument("kind", type=click.Choice(["scorers", "captioners", "methods", "metrics", "sources"]))
@json_option
def list_(kind: str, as_json: bool) -> None:
    """List what a recipe can name, with columns and parameters."""
    from flows.show import plugins_of, plugins_text

    found = plugins_of(kind)
    click.echo(json.dumps(found) if as_json else plugins_text(found))


@main.group(context_settings=CONTEXT)
def recipe() -> None:
    """Recipes and their keys."""


@recipe.command("schema", epilog=example("gesso recipe schema > recipe.schema.json"))
def recipe_schema() -> None:
    """Print the JSON schema of a recipe, for an editor to complete it."""
    from pipeline.recipe import Recipe

    click.echo(json.dumps(Recipe.model_json_schema(), indent=2))


@main.group(context_settings=CONTEXT)
def starter() -> None:
    """About the small models that ship with gesso."""


@starter.command("build", epilog=example("gesso starter build --to my-starter --steps-scale 0.01"))
@click.option("--to", "folder", type=click.Path(path_type=Path), required=True, help="Folder to build in.")
@click.option("--steps-scale", type=click.FloatRange(0.001, 10), default=1.0, help="Share of the steps; 1 takes hours.")
def starter_build(folder: Path, steps_scale: float) -> None:
    """Train the starter models from nothing but a seed, measure them, and write their card."""
    from pipeline.starter.build import build

    click.echo(build(folder, scale=steps_scale, say=lambda text: click.echo(text, err=True)))


@starter.command("pictures", epilog=example("gesso starter pictures --to pictures --count 100"))
@click.option("--to", "folder", type=click.Path(path_type=Path), required=True, help="Folder to write into.")
@click.option("--count", type=click.IntRange(1), default=100, show_default=True, help="How many pictures.")
@click.option("--seed", type=int, default=0, show_default=True, help="First seed.")
def starter_pictures(folder: Path, count: int, seed: int) -> None:
    """Write drawn pictures with captions beside them, to try things on."""
    from pipeline.starter.collection import plain

    click.echo(plain(folder, count=count, seed=seed))


@main.command(epilog=example("gesso demo"))
@workspace_option
@engine_option
def demo(workspace: str | None, engine: str) -> None:
    """Run the whole chain on pictures that gesso draws itself, with the models that ship with it, offline."""
    from flows.demo import demo as run_demo

    run_demo(workspace, engine, _command())


@main.command(epilog=example("gesso serve datasets/photos.yaml --cron '0 3 * * *'"))
@recipe_argument
@workspace_option
@set_option
@click.option("--cron", metavar="CRON", help="When to re-train, such as '0 3 * * *' for every night at three.")
@click.option("--every", "seconds", type=click.IntRange(1), metavar="SECONDS", help="Re-train in this interval.")
def serve(recipe: Path, workspace: str | None, settings: tuple[str, ...], cron: str | None, seconds: int | None) -> None:
    """Deploy the re-training of RECIPE on a schedule and serve it until stopped; unchanged data is skipped."""
    from flows.deployments import serve as serve_retraining
    from flows.settings import workspace_path

    loaded = _load(recipe, settings)
    serve_retraining(recipe, settings, workspace_path(workspace, loaded.name), cron=cron, seconds=seconds)


if __name__ == "__main__":
    main()
