"""Deploys the re-training of a recipe on a schedule and serves it: `gesso serve`."""

from pathlib import Path

from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy

from flows.retrain import retrain
from pipeline.errors import InputError


def serve(recipe: Path, settings: tuple[str, ...], workspace: Path, *, cron: str | None, seconds: int | None) -> None:
    """Serve until stopped: one re-training at a time, runs that collide are cancelled, a stop pauses nothing.

    Raises:
        InputError: neither or both of `cron` and `seconds` are given.
    """
    if (cron is None) == (seconds is None):
        raise InputError(
            "a schedule is needed",
            field="--cron",
            remedy="Give --cron '0 3 * * *' for every night, or --every SECONDS.",
        )
    retrain.serve(
        name=f"retrain-{recipe.stem}",
        cron=cron,
        interval=seconds,
        parameters={
            "recipe": str(recipe.resolve()),
            "settings": list(settings),
            "workspace": str(workspace.resolve()),
        },
        global_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW),
        limit=1,
        pause_on_shutdown=False,
        print_starting_message=True,
    )
