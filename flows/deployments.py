"""Deploys the re-training of a recipe on a schedule and serves it: `gesso serve`."""

from pathlib import Path

import click
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.types.entrypoint import EntrypointType

from flows.retrain import retrain
from flows.server import server
from pipeline.workspace import Workspace


def serve(recipe: Path, settings: tuple[str, ...], workspace: Path, *, cron: str | None, seconds: int | None) -> None:
    """Serve until stopped, on the schedule of either `cron` or `seconds`; a stop pauses nothing.

    One re-training runs at a time: those that come meanwhile are cancelled by the server, and after a downtime those
    that were missed find nothing new and are skipped.
    """
    place = Workspace.create(workspace)
    when = f"at {cron} (UTC)" if cron else f"every {seconds} s"
    with server(place.root) as address:
        click.echo(f"re-training {recipe} {when}; Prefect's server: {address}; stop with Ctrl-C", err=True)
        retrain.serve(
            name=f"retrain-{recipe.stem}",
            cron=cron,
            interval=seconds,
            parameters={
                "recipe": str(recipe.resolve()),
                "settings": list(settings),
                "workspace": str(place.root.resolve()),
            },
            global_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW),
            entrypoint_type=EntrypointType.MODULE_PATH,
            pause_on_shutdown=False,
            print_starting_message=False,
        )
