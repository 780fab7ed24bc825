"""Step: at checkpoints, render fixed prompts with fixed seeds and measure, always against the base model.

A training evaluates itself as it goes (`evaluation.py`); the step fills what is missing of the base model and the last
step, and compares before with after.
"""

import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline import bootstrap, plugins
from pipeline.manifest import Row, table_of
from pipeline.run import Run
from pipeline.stage import Tools, note
from pipeline.steps.evaluation import SPLITS, Evaluation

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


def run(run: Run, tools: Tools) -> str:
    """Evaluate what is missing of base and trained model; save `metrics`, `stable_loss` and `samples_made`."""
    began = time.monotonic()
    training = run.json("training")
    folder = run.workspace.root / "trainings" / training["folder"]
    evaluation = Evaluation(run, tools, folder)
    last = training["steps"]
    evaluation.step(0, lambda: base(run, tools))
    evaluation.step(last, lambda: trained(run, tools, folder / training["weights"]))
    losses, samples, values = (evaluation.rows(name) for name in ("losses", "samples", "values"))
    scores = [*evaluation.rows("scores"), *evaluation.rows("drifts")]
    run.save("stable_loss", _means(losses))
    run.save("samples_made", table_of(samples, SAMPLES))
    compared = compare(losses, scores, last, values)
    run.save("metrics", table_of(compared, METRICS))
    evaluation.limit(last)
    steps = len({row["step"] for row in (*losses, *values)})
    note(tools, "evaluate", computed=evaluation.computed, asked=steps, began=began)
    return f"{steps} checkpoints, {len(samples)} samples, {len(compared)} measures compared with the base model"


def compare(losses: Sequence[Row], scores: Sequence[Row], last: int, values: Sequence[Row] = ()) -> list[Row]:
    """Each measure before (step 0) and after (`last`), paired by picture and timestep or by prompt and seed."""
    found = []
    measured = [{**row, "metric": "stable_loss", "value": row["loss"]} for row in losses] + list(values)
    for metric in dict.fromkeys(row["metric"] for row in measured):
        for split, of in SPLITS.items():
            rows = [row for row in measured if (row["metric"], row["split"]) == (metric, split)]
            if pairs := _pairs(rows, ("sample_id",), "value", last):
                found.append(_metric(metric, of, pairs))
    for metric, of in (("clip_image", "samples"), ("clip_score", "samples"), ("drift", "general prompts")):
        rows = [row for row in scores if row["metric"] == metric]
        if pairs := _pairs(rows, ("prompt", "seed"), "value", last):
            found.append(_metric(metric, of, pairs))
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


def base(run: Run, tools: Tools) -> Any:  # noqa: ANN401 (diffusers has no types)
    """The base model."""
    from pipeline.steps import measures  # imports torch

    return measures.load_base(run, tools)


def trained(run: Run, tools: Tools, weights: Path) -> Any:  # noqa: ANN401
    """The base model with what the training made of it, read back from its files."""
    method = plugins.load("methods", run.recipe.train.method, field="train.method")
    return method.load(base(run, tools), weights)
