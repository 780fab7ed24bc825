"""Checkpoints: folders that are complete or absent, and a training that goes on where the newest one ends."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pipeline import atomic, stopping
from pipeline.errors import InputError
from pipeline.training.settings import WITHOUT_EFFECT, TrainSettings

FOLDER = "checkpoints"
PREFIX = "step-"
STATE, IDENTITY = "state.pt", "identity.json"


@dataclass(frozen=True)
class Checkpoint:
    """`step` optimizer steps are done; `folder` holds the weights as the method wrote them, and the state."""

    folder: Path
    step: int

    def state(self) -> dict[str, Any]:
        """What `write` was given as state, on the CPU; read without unpickling code."""
        loaded: dict[str, Any] = torch.load(self.folder / STATE, weights_only=True, map_location="cpu")
        return loaded


def commit(folder: Path, fill: Callable[[Path], None]) -> None:
    """Let `fill` write into an empty folder, which then takes the name `folder` in one move (the old one goes)."""
    with atomic.folder(folder) as fresh:
        fill(fresh)


def write(
    training: Path,
    step: int,
    *,
    weights: Callable[[Path], None],
    state: Mapping[str, Any],
    identity: Mapping[str, str],
    keep: int,
) -> None:
    """Add the checkpoint of `step` to the training's folder and remove all but the `keep` newest.

    `state` may hold tensors, numbers, strings, and lists and dicts of them; `identity` is what `resume` checks.

    Raises:
        Stopped: a signal asked for it; the checkpoint is there.
    """

    def fill(fresh: Path) -> None:
        weights(fresh)
        with (fresh / STATE).open("wb") as file:  # a file of Python's, whose errors say what the disk refused
            torch.save(dict(state), file)
        (fresh / IDENTITY).write_text(json.dumps(dict(identity), indent=2))

    commit(training / FOLDER / f"{PREFIX}{step:07d}", fill)
    for old in _all(training)[:-keep]:
        atomic.remove(old.folder)
    stopping.heed()


def resume(training: Path, *, identity: Mapping[str, str], say: Callable[[str], None]) -> Checkpoint | None:
    """The checkpoint to go on from, or None; raises InputError where it is of another training."""
    found = latest(training)
    if found is None:
        return None
    was = json.loads((found.folder / IDENTITY).read_text())
    for name in sorted({*was, *identity}):
        if was.get(name) != identity.get(name):
            raise InputError(
                f"the checkpoints in {training} were made with {was.get(name, 'none')}",
                field=name,
                value=identity.get(name, "none"),
                remedy="Train into another folder, or remove that one to begin anew.",
            )
    say(f"going on after step {found.step}")
    return found


def latest(training: Path) -> Checkpoint | None:
    """The newest checkpoint of the training in this folder, or None."""
    found = _all(training)
    return found[-1] if found else None


def due(step: int, settings: TrainSettings) -> bool:
    """Whether a checkpoint is made after `step` steps: every `checkpoint_every`th, the last, or to stop there."""
    return stopping.wished() or step % settings.checkpoint_every == 0 or step == settings.steps


def identity(settings: TrainSettings, *, digest: str, header: Mapping[str, str]) -> dict[str, str]:
    """What decides a training's outcome, as texts: every setting, the training set and the caller's header."""
    chosen = settings.model_dump(mode="json", exclude=WITHOUT_EFFECT)
    return {
        **{f"train.{name}": json.dumps(value) for name, value in chosen.items()},
        "training set": digest,
        **{f"header.{name}": value for name, value in header.items()},
    }


def _all(training: Path) -> list[Checkpoint]:
    found = [Checkpoint(one, int(one.name.removeprefix(PREFIX))) for one in (training / FOLDER).glob(f"{PREFIX}*")]
    return sorted(found, key=lambda one: one.step)
