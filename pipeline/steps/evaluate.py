"""Step: at checkpoints, render fixed prompts with fixed seeds and measure, always against the base model.

Samples, scores and losses of one state of a model are files of the workspace, each named by all that decides it and by
nothing else: the base model is measured once for all trainings of a training set, another CLIP scores the pictures
that are there, and another prompt leaves the losses alone. The step itself fills what is missing and compares before
with after.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline import bootstrap, plugins
from pipeline.manifest import Row, digest, read_table, table_of
from pipeline.model_files import locate, weights_hash
from pipeline.run import Run
from pipeline.stage import Tools, note
from pipeline.workspace import write_table

VERSION = 1
"""Raised when samples, scores or losses of the same model and request change."""
MOST_PICTURES = 32
"""Pictures of each split that a model is measured on; the first by sample id, so always the same."""
SAMPLES = pa.schema([("step", pa.int32()), ("prompt", pa.string()), ("seed", pa.int64()), ("png", pa.binary())])
LOSSES = pa.schema(
    [
        ("step", pa.int32()),
        ("split", pa.string()),
        ("sample_id", pa.string()),
        ("timestep", pa.int32()),
        ("loss", pa.float64()),
    ]
)
SCORES = pa.schema(
    [
        ("step", pa.int32()),
        ("metric", pa.string()),
        ("prompt", pa.string()),
        ("seed", pa.int64()),
        ("value", pa.float64()),
    ]
)
METRICS = pa.schema(
    [
        ("name", pa.string()),
        ("of", pa.string()),
        ("before", pa.float64()),
        ("after", pa.float64()),
        ("difference", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("higher_is_better", pa.bool_()),
        ("note", pa.string()),
    ]
)


SCHEMAS = {"samples": SAMPLES, "scores": SCORES, "losses": LOSSES}


class Evaluation:
    """Evaluates the steps of one training; what was measured of a step already costs nothing."""

    def __init__(self, run: Run, tools: Tools, training: Path) -> None:
        self._run, self._tools, self._training = run, tools, training
        self.computed = 0

    def due(self, step: int) -> bool:
        """Whether the recipe asks for an evaluation after this step: every so many, and the last."""
        every = self._run.recipe.evaluate.every
        return step == self._run.recipe.train.steps or (every > 0 and step % every == 0)

    def has(self, step: int) -> bool:
        """Whether all is measured of this step."""
        return all(path.exists() for path in self._paths(step).values())

    def step(self, step: int, unet: Callable[[], Any]) -> None:
        """Measure what is missing of the UNet as it is after `step` steps; step 0 is the base model.

        `unet` gives it, and is asked only where the model itself has to work.
        """
        if self.has(step):
            return
        from pipeline.steps import measures  # imports torch

        run, tools, paths = self._run, self._tools, self._paths(step)
        if not paths["samples"].exists():
            self._write(step, "samples", measures.samples(run, tools, unet()))
        if not paths["scores"].exists():
            painted = read_table(paths["samples"]).to_pylist()
            self._write(step, "scores", measures.scores(run, tools, painted, self._pictures["train"]))
        if not paths["losses"].exists():
            pictures = [row for rows in self._pictures.values() for row in rows]
            self._write(step, "losses", measures.losses(run, tools, unet(), pictures))
        self.computed += 1
        tools.say(f"evaluate: step {step} done")

    def rows(self, name: str) -> list[Row]:
        """All steps' rows of `samples`, `scores` or `losses`: of those that the recipe asks for and that are there."""
        steps = [0, *filter(self.due, range(1, self._run.recipe.train.steps + 1))]
        paths = {step: self._paths(step)[name] for step in steps}
        return [
            {"step": step, **row}
            for step, path in paths.items()
            if path.exists()
            for row in read_table(path).to_pylist()
        ]

    def _write(self, step: int, name: str, rows: Sequence[Row]) -> None:
        schema = pa.schema([field for field in SCHEMAS[name] if field.name != "step"])
        write_table(self._paths(step)[name], table_of(rows, schema))

    def _paths(self, step: int) -> dict[str, Path]:
        """Where samples, scores and losses of a step lie, named by what decides them."""
        recipe = self._run.recipe
        model = [VERSION, self._base, *([self._training.name, step] if step else [])]
        painting = recipe.evaluate.model_dump(mode="json", exclude={"every", "clip"})
        painted = digest([model, painting, recipe.buckets.resolution] if recipe.evaluate.prompts else [])
        compared = [row["pixel_id"] for row in self._pictures["train"]]
        seen = [
            [row[name] for name in ("sample_id", "split", "caption")]
            for rows in self._pictures.values()
            for row in rows
        ]
        names = {
            "samples": painted,
            "scores": digest([painted, self._clip, compared, recipe.buckets.model_dump()]),
            "losses": digest([model, seen, self._run.json("trainset")["encoded"]]),
        }
        return {
            kind: self._run.workspace.root / "evaluations" / kind / f"{name[:24]}.parquet"
            for kind, name in names.items()
        }

    @cached_property
    def _base(self) -> list[Any]:
        base = self._run.recipe.base_model
        folder = locate(base.id, base.revision)
        parts = ("unet", "vae", "text_encoder", "scheduler")
        return [*(weights_hash(folder, part) for part in parts), self._run.recipe.train.zero_terminal_snr]

    @cached_property
    def _clip(self) -> str:
        """Hash of the CLIP that scores samples, where there are any."""
        if not self._run.recipe.evaluate.prompts:
            return ""
        return weights_hash(locate(self._run.recipe.evaluate.clip, part="clip", field="evaluate.clip"))

    @cached_property
    def _pictures(self) -> dict[str, list[Row]]:
        """The pictures of each split that a model is measured on, as rows of the training set."""
        plain = [row for row in self._run.rows("views") if row["view"] == 0]
        return {
            split: [row for row in plain if row["split"] == split][:MOST_PICTURES] for split in ("train", "held_out")
        }


def run(run: Run, tools: Tools) -> str:
    """Evaluate what is missing of base and trained model; save `metrics`, `stable_loss` and `samples_made`."""
    began = time.monotonic()
    training = run.json("training")
    evaluation = Evaluation(run, tools, run.workspace.root / "trainings" / training["folder"])
    last = training["steps"]
    evaluation.step(0, lambda: _base(run, tools))
    evaluation.step(last, lambda: _trained(run, tools))
    losses, scores, samples = (evaluation.rows(name) for name in ("losses", "scores", "samples"))
    run.save("stable_loss", _means(losses))
    run.save("samples_made", table_of(samples, SAMPLES))
    compared = compare(losses, scores, last)
    run.save("metrics", table_of(compared, METRICS))
    steps = len({row["step"] for row in losses})
    note(tools, "evaluate", computed=evaluation.computed, asked=steps, began=began)
    return f"{steps} checkpoints, {len(samples)} samples, {len(compared)} measures compared with the base model"


def compare(losses: Sequence[Row], scores: Sequence[Row], last: int) -> list[Row]:
    """Each measure before (step 0) and after (`last`), paired by picture and timestep or by prompt and seed."""
    found = []
    held_out = any(row["split"] == "held_out" for row in losses)
    for split in ("held_out", "train") if held_out else ("train",):
        pairs = _pairs([row for row in losses if row["split"] == split], ("sample_id",), "loss", last)
        of = "held-out pictures" if split == "held_out" else "training pictures"
        found.append(_metric("stable_loss", of, pairs))
    for metric in ("clip_image", "clip_score"):
        pairs = _pairs([row for row in scores if row["metric"] == metric], ("prompt", "seed"), "value", last)
        if pairs:
            found.append(_metric(metric, "samples", pairs))
    return found


def _pairs(rows: Sequence[Row], key: Sequence[str], value: str, last: int) -> list[tuple[float, float]]:
    """(before, after) for each key that has both, averaged over the rest, such as timesteps."""
    found: dict[tuple[Any, ...], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        found[tuple(row[name] for name in key)][row["step"]].append(row[value])
    return [
        (float(np.mean(steps[0])), float(np.mean(steps[last]))) for steps in found.values() if steps[0] and steps[last]
    ]


def _metric(name: str, of: str, pairs: Sequence[tuple[float, float]]) -> Row:
    said = plugins.facts("metrics", name)
    before, after = zip(*pairs, strict=True)
    interval = bootstrap.paired(before, after)
    return {
        "name": name.replace("_", " "),
        "of": of,
        "before": float(np.mean(before)),
        "after": float(np.mean(after)),
        "difference": interval.difference,
        "low": interval.low,
        "high": interval.high,
        "higher_is_better": said["HIGHER_IS_BETTER"],
        "note": said["DESCRIPTION"],
    }


def _means(losses: Sequence[Row]) -> pa.Table:
    """Mean stable loss by step, split and timestep."""
    found: dict[tuple[int, str, int], list[float]] = defaultdict(list)
    for row in losses:
        found[row["step"], row["split"], row["timestep"]].append(row["loss"])
    return table_of(
        [
            {"step": step, "split": split, "timestep": timestep, "loss": float(np.mean(values))}
            for (step, split, timestep), values in sorted(found.items())
        ],
        pa.schema([field for field in LOSSES if field.name != "sample_id"]),
    )


def _base(run: Run, tools: Tools) -> Any:  # noqa: ANN401 (diffusers has no types)
    from pipeline import models  # imports torch

    base = run.recipe.base_model
    return models.load_unet(base.id, revision=base.revision, device=tools.device)


def _trained(run: Run, tools: Tools) -> Any:  # noqa: ANN401
    """The UNet with what the training made of it, read back from its files."""
    training = run.json("training")
    weights = run.workspace.root / "trainings" / training["folder"] / training["weights"]
    method = plugins.load("methods", training["method"], field="train.method")
    return method.load(_base(run, tools), weights)
