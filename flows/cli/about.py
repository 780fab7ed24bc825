"""Commands about gesso itself: what a recipe can name, its keys, the machine, and the starter models."""

import json
from pathlib import Path

import click

from flows.cli.options import CONTEXT, example, json_option, workspace_option

KINDS = ("scorers", "judges", "captioners", "methods", "metrics", "sources", "exports")
STYLES = ("flat", "outlined", "shaded", "shadowed", "chalk", "mosaic")
"""Of drawn pictures; `pipeline.starter.scene` has them too, but is slow to import."""


@click.command("list", epilog=example("gesso list scorers"))
@click.argument(
    "kind", type=click.Choice(["scorers", "judges", "captioners", "methods", "metrics", "sources", "exports"])
)
@json_option
def list_(kind: str, as_json: bool) -> None:
    """List what a recipe can name, with columns and parameters."""
    from flows.catalogue import plugins_of, plugins_text

    found = plugins_of(kind)
    click.echo(json.dumps(found) if as_json else plugins_text(found))


@click.command(epilog=example("gesso doctor --deep"))
@workspace_option
@click.option("--deep", is_flag=True, help="Import torch, load models, start Prefect's server; takes a minute.")
@json_option
@click.pass_context
def doctor(ctx: click.Context, workspace: str | None, as_json: bool, deep: bool) -> None:
    """Say what this machine lacks, and how to get it.

    Exit code 0: nothing prevents a run; 1: something does.
    """
    from flows import doctor as doctors
    from flows.settings import workspace_path

    found = doctors.examine(workspace_path(workspace, ""), deep=deep)
    click.echo(json.dumps(doctors.report(found)) if as_json else doctors.words(found))
    ctx.exit(0 if doctors.ready(found) else 1)


@click.group(context_settings=CONTEXT)
def recipe() -> None:
    """Recipes and their keys."""


@recipe.command(epilog=example("gesso recipe schema > recipe.schema.json"))
def schema() -> None:
    """Print the JSON schema of a recipe, for an editor."""
    from pipeline.recipe import Recipe

    click.echo(json.dumps(Recipe.model_json_schema(), indent=2))


@click.group(context_settings=CONTEXT)
def starter() -> None:
    """The small models that ship with gesso."""


@starter.command(epilog=example("gesso starter build --to my-starter --steps-scale 0.01"))
@click.option("--to", "folder", type=click.Path(path_type=Path), required=True, help="Folder to build in.")
@click.option(
    "--steps-scale",
    type=click.FloatRange(0.001, 10),
    default=1.0,
    show_default=True,
    help="Share of the steps and pictures; 1 takes hours.",
)
@click.option(
    "--parts",
    default="vae,clip,blip,unet,painter",
    show_default=True,
    help="What to train; with none of them the pictures are drawn and the architectures written.",
)
def build(folder: Path, steps_scale: float, parts: str) -> None:
    """Train the starter models from nothing, recipe by recipe, and measure them."""
    from flows import settings
    from pipeline.starter.build import build

    only = [part for part in parts.split(",") if part]
    click.echo(build(folder, tools=settings.tools, scale=steps_scale, only=only))


@starter.command(epilog=example("gesso starter pictures --to pictures --count 100"))
@click.option("--to", "folder", type=click.Path(path_type=Path), required=True, help="Folder to write into.")
@click.option("--count", type=click.IntRange(1), default=100, show_default=True, help="How many pictures.")
@click.option("--seed", type=int, default=0, show_default=True, help="First seed.")
@click.option(
    "--style", type=click.Choice(STYLES), help="Draw all in this style; chalk and mosaic are new to the models."
)
def pictures(folder: Path, count: int, seed: int, style: str | None) -> None:
    """Write drawn pictures with captions, to try things on."""
    from pipeline.starter.collection import plain

    click.echo(plain(folder, count=count, seed=seed, style=style))


@starter.command(epilog=example("gesso starter sdxl --to tiny-sdxl"))
@click.option("--to", "folder", type=click.Path(path_type=Path), required=True, help="Folder to write into.")
@click.option("--seed", type=int, default=0, show_default=True, help="What the weights are drawn from.")
def sdxl(folder: Path, seed: int) -> None:
    """Write a tiny model of SDXL's shape, to try a recipe for SDXL without one.

    Its weights are drawn, so it paints noise.
    """
    from pipeline.starter.sdxl import write

    click.echo(write(folder, seed=seed))


@click.group(context_settings=CONTEXT)
def lavis() -> None:
    """LAVIS, which captions in an environment of its own."""


@lavis.command(epilog=example("gesso lavis install"))
def install() -> None:
    """Install LAVIS, or install it anew; takes a minute and 0.9 GB, and torch is shared with gesso.

    What is installed is pinned and hashed. The captioner `lavis` needs it, nothing else does; `gesso doctor` says
    whether it is there.
    """
    from pipeline.lavis import environment

    environment.install(say=lambda text: click.echo(text, err=True))
    click.echo(f"ready: {environment.state().found}")


COMMANDS = (list_, doctor, recipe, starter, lavis)
