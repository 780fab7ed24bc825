"""Several processes for one command: starts them, or takes the place that a launcher gave this one."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows import settings
from pipeline import stopping
from pipeline.errors import RecipeError
from pipeline.training import crew
from pipeline.training.crew import Crew, Place

if TYPE_CHECKING:
    from pipeline.recipe import Recipe

SECONDS_TO_END = 20
"""How long others may take to end once they were let go."""


def check(recipe: "Recipe") -> None:
    """See that several processes can train this.

    Raises:
        RecipeError: the method's batches cannot be shared out.
    """
    from pipeline import learning

    if learning.learns(recipe) != "unet":
        raise RecipeError(
            "this method's batches cannot be shared out among processes",
            field="train.method",
            value=recipe.train.method,
            remedy="Train it in one process.",
        )


@contextmanager
def processes(count: int) -> Iterator[Place | None]:
    """Within the block `count` processes train together, of which this is the first; or as many as a launcher started.

    Gives this one's place: of another than the first it is all that it does to `follow`.
    """
    place, children = crew.enlist(), list[subprocess.Popen[bytes]]()
    if place is None and count < 2:
        yield None
        return
    if place is not None and place.rank:
        yield place
        return

    def ended() -> str:
        codes = [child.poll() for child in children]
        return next((f"process {rank} ended with {code}" for rank, code in enumerate(codes, 1) if code is not None), "")

    with _ending(children):
        if place is None:
            place = Place(0, count, 0, "127.0.0.1", _free_port(), kept=False)
            children += (_start(place, rank) for rank in range(1, count))
        try:
            leader = Crew(place, alive=ended)
        except BaseException:
            for child in children:  # they would wait for it
                child.kill()
            raise
        with leader.leading():
            yield place


def follow(place: Place) -> None:
    """Do what the first process calls for; it alone tells of errors."""
    from pipeline.recipe import parse
    from pipeline.run import Run
    from pipeline.stage import Tools
    from pipeline.steps import train
    from pipeline.workspace import Workspace

    def join(word: Mapping[str, Any], ready: Callable[..., Any]) -> None:
        workspace = Workspace.open(Path(word["workspace"]))
        run = replace(Run.open(workspace, word["run"]), recipe=parse(json.loads(word["recipe"])))
        train.join(run, Tools(workspace, device=settings.device()), ready)

    try:
        Crew(place).follow(join)
    except stopping.Stopped as stop:
        raise SystemExit(128 + stop.signal) from None
    except Exception:  # the first process has been told of it
        raise SystemExit(1) from None


def main() -> None:
    """What a process does that `processes` started."""
    settings.quiet()
    place = crew.enlist()
    if place is not None:
        with stopping.by_signal():
            follow(place)


@contextmanager
def _ending(children: list["subprocess.Popen[bytes]"]) -> Iterator[None]:
    """At the block's end these processes, which were let go by then, end too."""
    try:
        yield
    finally:
        for child in children:
            try:
                child.wait(SECONDS_TO_END)
            except subprocess.TimeoutExpired:
                child.kill()


def _start(place: Place, rank: int) -> "subprocess.Popen[bytes]":
    told = (str(rank), str(place.processes), str(rank), place.address, str(place.port))
    environment = dict(zip((*crew.NAMES[0], crew.ADDRESS, crew.PORT), told, strict=True))
    command = [sys.executable, "-c", "from flows.launch import main; main()"]
    return subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)  # noqa: S603 (ourselves)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
