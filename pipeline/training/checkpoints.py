"""Checkpoints: folders that are complete or absent, and a training that goes on where the newest one ends."""

import hashlib
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
STATE, IDENTITY, SUMS = "state.pt", "identity.json", "sha256.json"


@dataclass(frozen=True)
class Checkpoint:
    """`step` optimizer steps are done; `folder` holds the weights as the method wrote them, and the state."""

    folder: Path
    step: int

    def state(self) -> dict[str, Any]:
        """What `write` was given as state, on the CPU; read without unpickling code."""
        loaded: dict[str, Any] = torch.load(self.folder / STATE, weights_only=True, map_location="cpu")
        return loaded

    def damage(self) -> str:
        """The first file that is not as it was written, or "" where all are."""
        try:
            sums = dict(json.loads((self.folder / SUMS).read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return SUMS
        return next((name for name, was in sums.items() if _sum(self.folder / name) != was), "")


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
        names = sorted(path.relative_to(fresh).as_posix() for path in fresh.rglob("*") if path.is_file())
        (fresh / SUMS).write_text(json.dumps({name: _sum(fresh / name) for name in names}, indent=2))

    commit(training / FOLDER / f"{PREFIX}{step:07d}", fill)
    prune(training, keep=keep)
    stopping.heed()


def prune(training: Path, *, keep: int) -> None:
    """Remove all checkpoints but the `keep` newest; whoever goes on does so, too, where a kill came in between."""
    for old in _all(training)[:-keep]:
        atomic.remove(old.folder)


def distrust(training: Path, *, after: int) -> None:
    """Set the checkpoints of more than `after` steps aside."""
    for one in _all(training):
        if one.step > after:
            atomic.set_aside(one.folder)


NAMES = {"gesso_recipe", "gesso_base_model", "modelspec.title", "modelspec.resolution"}
"""Of the weights' header, what people call things."""


def resume(training: Path, *, identity: Mapping[str, str], say: Callable[[str], None]) -> Checkpoint | None:
    """The newest checkpoint that is as it was written, to go on from, or None.

    Damaged ones are set aside; `say` is told of that and of where it goes on.

    Raises:
        InputError: it is of another training.
    """
    damaged = []
    while (found := latest(training)) and (wrong := found.damage()):
        damaged.append(f"{atomic.set_aside(found.folder).name} ({wrong})")
    note = f"; damaged and set aside: {', '.join(damaged)}" if damaged else ""
    if found is None:
        if damaged:
            say(f"beginning anew{note}")
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
    say(f"going on after step {found.step}{note}")
    return found


def latest(training: Path) -> Checkpoint | None:
    """The newest checkpoint of the training in this folder, or None."""
    found = _all(training)
    return found[-1] if found else None


def due(step: int, settings: TrainSettings) -> bool:
    """Whether a checkpoint is made after `step` steps: every `checkpoint_every`th, the last, or to stop there."""
    return stopping.wished() or step % settings.checkpoint_every == 0 or step == settings.steps


def identity(settings: TrainSettings, *, digest: str, header: Mapping[str, str]) -> dict[str, str]:
    """What decides a training's outcome, as texts: every setting, the training set and the caller's header.

    Names that people give (of the recipe, and of the base model's folder) decide nothing.
    """
    chosen = settings.model_dump(mode="json", exclude=WITHOUT_EFFECT)
    return {
        **{f"train.{name}": json.dumps(value) for name, value in chosen.items()},
        "training set": digest,
        **{f"header.{name}": value for name, value in header.items() if name not in NAMES},
    }


def _all(training: Path) -> list[Checkpoint]:
    steps = {one: one.name.removeprefix(PREFIX) for one in (training / FOLDER).glob(f"{PREFIX}*")}
    found = [Checkpoint(one, int(step)) for one, step in steps.items() if step.isdecimal()]
    return sorted(found, key=lambda one: one.step)


def _sum(path: Path) -> str:
    """A file's SHA-256; "" where there is none."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
