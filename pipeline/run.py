"""One run of a recipe in a workspace: a folder that holds what its steps hand to each other and to people.

A step gets the run and tools, reads what earlier steps saved, saves its own tables, and returns a small value. What
is expensive does not lie here but under its content's name elsewhere in the workspace, where the next run finds it.
"""

import json
import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from pipeline import learning
from pipeline.errors import DiskError, WorkspaceError
from pipeline.manifest import Row, digest, read_table
from pipeline.original import kinds, single
from pipeline.recipe import Recipe, parse
from pipeline.stage import StageStat, Tools
from pipeline.training import epochs
from pipeline.training.settings import WITHOUT_EFFECT, TrainSettings
from pipeline.workspace import Workspace, write_bytes, write_table

PACKAGES = ("torch", "diffusers", "transformers", "peft", "accelerate", "albumentations", "pyarrow", "prefect")
"""Packages whose versions a run records."""


@dataclass(frozen=True)
class Run:
    """A run's place; everything else is in its files."""

    workspace: Workspace
    id: str
    recipe: Recipe

    @classmethod
    def create(cls, workspace: Workspace, recipe: Recipe, *, command: str) -> "Run":
        """Begin a new run; `command` is what a person would type to do it again."""
        run = cls(workspace, _new_id(workspace, recipe), recipe)
        run.save_json(
            "run",
            {
                "started": datetime.now(UTC).isoformat(timespec="seconds"),
                "command": command,
                "recipe": recipe.digest,
                "process": os.getpid(),
                "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
                "versions": {"python": platform.python_version(), "gesso": _version("gesso")}
                | {name: _version(name) for name in PACKAGES},
            },
        )
        write_bytes(run.folder / "recipe.yaml", recipe.yaml().encode())  # last: by it `open` knows a run
        return run

    @classmethod
    def open(cls, workspace: Workspace, run_id: str) -> "Run":
        """Open a run of the workspace.

        Raises:
            WorkspaceError: there is no such run.
        """
        path = workspace.runs / run_id / "recipe.yaml"
        if not path.is_file():
            known = sorted(one.parent.name for one in workspace.runs.glob("*/recipe.yaml"))
            raise WorkspaceError(
                "there is no such run", field="--run", value=run_id, remedy=f"There are: {', '.join(known) or 'none'}."
            )
        return cls(workspace, run_id, parse(yaml.safe_load(path.read_text(encoding="utf-8"))))

    @property
    def located(self) -> Recipe:
        """The recipe with its base model as a folder: a single file is unpacked in the workspace, once.

        Raises:
            ModelError: the file is no whole base model.
        """
        base = self.recipe.base_model
        if not kinds.is_file(base.id):
            return self.recipe
        place = single.ensure(base.id, self.workspace.bases, prediction=base.prediction, config=base.config)
        told = base.model_copy(update={"id": str(place), "revision": None, "prediction": None, "config": None})
        return self.recipe.model_copy(update={"base_model": told})

    @property
    def folder(self) -> Path:
        """Where the run's files lie."""
        return self.workspace.runs / self.id

    @property
    def train(self) -> TrainSettings:
        """The recipe's settings of the training; epochs are counted as steps (the step `trainset` has to be done)."""
        return epochs.counted(self.recipe.train, self.json("trainset").get("batches", 0))

    @property
    def training(self) -> Path:
        """Folder of the training that this run asks for, named by what decides its weights.

        That is the training set and how it was encoded (the step `trainset` has to be done), the settings, and what
        the base model brings: see `learning.hashes`.

        Raises:
            ModelError: the base model is not there and cannot be had.
        """
        model = list(learning.hashes(self.located).values())
        trainset = self.json("trainset")
        settings = self.train.model_dump(mode="json", exclude=WITHOUT_EFFECT)
        return (
            self.workspace.root / "trainings" / digest([trainset["digest"], trainset["encoded"], settings, model])[:24]
        )

    def check(self) -> None:
        """Make sure that the run's folder is there: without it a step would find nothing and do nothing.

        Raises:
            DiskError: it is gone.
        """
        if not (self.folder / "recipe.yaml").is_file():
            raise DiskError(
                "the run's folder is gone",
                field=str(self.folder),
                remedy="Bring it back, or run the same command again.",
            )

    def save(self, name: str, table: pa.Table) -> None:
        """Save a table for later steps."""
        write_table(self.folder / f"{name}.parquet", table)

    def rows(self, name: str, columns: Sequence[str] | None = None) -> list[Row]:
        """Rows of a saved table, with all columns or those named; none where no step has saved it."""
        path = self.folder / f"{name}.parquet"
        return read_table(path, columns=columns).to_pylist() if path.exists() else []

    def save_json(self, name: str, value: Mapping[str, Any]) -> None:
        """Save a few facts for later steps."""
        write_bytes(self.folder / f"{name}.json", json.dumps(value, indent=1, ensure_ascii=False).encode())

    def json(self, name: str) -> dict[str, Any]:
        """Facts that an earlier step saved; none where no step has."""
        path = self.folder / f"{name}.json"
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}

    def record(self, tools: Tools) -> None:
        """Add what the stages did since the last call to the run's list, and take it from the tools."""
        path = self.folder / "stages.jsonl"
        lines = path.read_text() if path.exists() else ""
        write_bytes(path, (lines + "".join(json.dumps(asdict(stat)) + "\n" for stat in tools.stats)).encode())
        tools.stats.clear()

    def stats(self) -> Sequence[StageStat]:
        """What each stage of the run did, in order."""
        path = self.folder / "stages.jsonl"
        return [StageStat(**json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


def _new_id(workspace: Workspace, recipe: Recipe) -> str:
    """An id that sorts by time, with its folder made, so that nobody else takes it."""
    while True:
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")[:-3]
        made = f"{stamp}-{recipe.digest[:6]}"
        try:
            (workspace.runs / made).mkdir(parents=True)
        except FileExistsError:
            time.sleep(0.001)
            continue
        return made


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
