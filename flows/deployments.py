"""Deploys the re-training of a recipe on a schedule and serves it: `gesso serve`."""

import os
import time
from contextlib import redirect_stdout
from pathlib import Path

import click
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.settings import PREFECT_API_URL
from prefect.types.entrypoint import EntrypointType

from flows.retrain import retrain
from flows.server import Served, ServerError, answers, server
from pipeline.workspace import Workspace

PAUSE = 5.0
"""How long to wait before a server that went away is looked for again, in seconds."""


def serve(recipe: Path, settings: tuple[str, ...], workspace: Path, *, cron: str | None, seconds: int | None) -> None:
    """Serve until stopped, on the schedule of either `cron` or `seconds`; a stop pauses nothing.

    One re-training runs at a time: those that come meanwhile are cancelled by the server, and after a downtime those
    that were missed find nothing new and are skipped. A server that goes away is waited for, one of our own started
    again.

    Raises:
        ServerError: Prefect's server does not start, or the one that is named does not answer at first.
    """
    place = Workspace.create(workspace)
    when = f"at {cron} (UTC)" if cron else f"every {seconds} s"
    own = not PREFECT_API_URL.value()
    known = False
    while True:
        with server(place.root) as address:
            if answers(address):
                Served(address, own).write(place.root)
                known = True
                click.echo(
                    f"re-training {recipe} {when}; Prefect's server: {address}; stop with Ctrl-C",
                    err=True,
                )
                try:
                    _serve(recipe, settings, place, cron=cron, seconds=seconds)
                except Exception:
                    if answers(address):
                        raise
                else:
                    return
            elif not known:
                raise ServerError(f"Prefect's server at {address} does not answer. Start it, or unset PREFECT_API_URL.")
        click.echo(f"Prefect's server at {address} does not answer; looking again in {PAUSE:.0f} s", err=True)
        time.sleep(PAUSE)


def _serve(recipe: Path, settings: tuple[str, ...], place: Workspace, *, cron: str | None, seconds: int | None) -> None:
    """Serve until stopped, or until the server has not answered for a while."""
    # there Prefect prints pages of tracebacks when the server goes away
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        retrain.serve(
            name=f"retrain-{recipe.stem}",
            cron=cron,
            interval=seconds,
            parameters={
                "recipe": str(recipe.resolve()),
                "settings": list(settings),
                "workspace": str(place.root.resolve()),
            },
            # one that is woken waits for its turn here, where at the server's limit it would be cancelled
            limit=1,
            global_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW),
            entrypoint_type=EntrypointType.MODULE_PATH,
            pause_on_shutdown=False,
            print_starting_message=False,
        )
