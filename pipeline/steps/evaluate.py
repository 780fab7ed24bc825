"""Step: at checkpoints, render fixed prompts with fixed seeds and measure, always against the base model.

What was measured at a step lies beside the training's weights, under the name of what was asked, so that another run
finds it. The step itself fills what is missing and compares before with after.
"""

import functools
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import bootstrap, imaging, models, plugins, sampling
from pipeline.manifest import Row, digest, table_of
from pipeline.metrics import clip_image, clip_score, stable_loss
from pipeline.run import Run
from pipeline.stage import Tools, note
from pipeline.steps.trainset import examples
from pipeline.trainset import views
from pipeline.workspace import write_table

MOST_PICTURES = 32
"""Pictures of each split that stable loss is measured on; the first by sample id, so always the same."""
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


class Evaluation:
    """Evaluates the steps of one training; a step that was evaluated already costs nothing."""

    def __init__(self, run: Run, tools: Tools, training: Path) -> None:
        self._run, self._tools = run, tools
        settings = run.recipe.evaluate
        asked = settings.model_dump(mode="json", exclude={"every"})
        self.folder = training / "evaluations" / digest([asked, run.json("trainset")["digest"]])[:16]
        self.computed = 0

    def due(self, step: int) -> bool:
        """Whether the recipe asks for an evaluation after this step: every so many, and the last."""
        every = self._run.recipe.evaluate.every
        return step == self._run.recipe.train.steps or (every > 0 and step % every == 0)

    def has(self, step: int) -> bool:
        """Whether this step was evaluated."""
        return (self.folder / f"{step}.losses.parquet").exists()

    def step(self, step: int, unet: Any) -> None:  # noqa: ANN401 (diffusers has no types)
        """Evaluate the UNet as it is after `step` steps; step 0 is the base model."""
        if self.has(step):
            return
        self.computed += 1
        samples = self._sample(step, unet)
        write_table(self.folder / f"{step}.samples.parquet", table_of(samples, SAMPLES))
        write_table(self.folder / f"{step}.scores.parquet", table_of(self._score(step, samples), SCORES))
        write_table(self.folder / f"{step}.losses.parquet", table_of(self._losses(step, unet), LOSSES))
        self._tools.say(f"evaluate: step {step} done")

    def rows(self, name: str) -> list[Row]:
        """All steps' rows of `samples`, `scores` or `losses`."""
        paths = sorted(self.folder.glob(f"*.{name}.parquet"), key=lambda path: int(path.name.partition(".")[0]))
        return [row for path in paths for row in pq.read_table(path).to_pylist()]

    def _sample(self, step: int, unet: Any) -> list[Row]:  # noqa: ANN401
        recipe, base = self._run.recipe.evaluate, self._run.recipe.base_model
        if not recipe.prompts:
            return []
        pipe = models.load_pipeline(
            base.id,
            revision=base.revision,
            unet=unet,
            zero_terminal_snr=self._run.recipe.train.zero_terminal_snr,
            device=self._tools.device,
        )
        pairs = [(prompt, seed) for prompt in recipe.prompts for seed in recipe.seeds]
        pictures = sampling.sample(
            pipe,
            pairs,
            steps=recipe.steps,
            guidance=recipe.guidance,
            guidance_rescale=recipe.guidance_rescale,
            negative_prompt=recipe.negative_prompt,
            size=self._run.recipe.buckets.resolution,
            progress=functools.partial(self._tools.progress, "samples"),
        )
        return [
            {"step": step, "prompt": prompt, "seed": seed, "png": imaging.encode_png(pixels)}
            for (prompt, seed), pixels in zip(pairs, pictures, strict=True)
        ]

    def _losses(self, step: int, unet: Any) -> list[Row]:  # noqa: ANN401
        scheduler = load_scheduler(self._run)
        found = []
        for split in ("train", "held_out"):
            data = examples(self._run, split, self._tools)
            plain = [place for place, row in enumerate(data.rows) if row["view"] == 0][:MOST_PICTURES]
            if plain:
                made = stable_loss.measure(unet, data, scheduler, rows=plain)
                found += [{"step": step, "split": split, **_named(one)} for one in made]
        return found

    def _score(self, step: int, samples: Sequence[Row]) -> list[Row]:
        if not samples:
            return []
        how = {"clip": self._run.recipe.evaluate.clip, "device": self._tools.device}
        pictures = [imaging.decode(row["png"]).pixels for row in samples]
        prompts = [row["prompt"] for row in samples]
        scored = {
            "clip_score": clip_score.measure(pictures, prompts, **how),
            "clip_image": clip_image.measure(pictures, self._references(), **how),
        }
        return [
            {"step": step, "metric": name, "prompt": row["prompt"], "seed": row["seed"], "value": value}
            for name, values in scored.items()
            for row, value in zip(samples, values, strict=True)
        ]

    def _references(self) -> list[np.ndarray[Any, Any]]:
        """The training pictures that samples are compared with, each at its bucket's size."""
        rows = [row for row in self._run.rows("views") if row["split"] == "train" and row["view"] == 0][:MOST_PICTURES]
        found = []
        for row in rows:
            pixels = imaging.decode(self._tools.read(row["sample_id"])).pixels
            found.append(views.make(pixels, row["pixel_id"], 0, [], self._run.recipe.buckets).pixels)
        return found


def run(run: Run, tools: Tools) -> str:
    """Evaluate what is missing of base and trained model; save `metrics`, `stable_loss` and `samples_made`."""
    began = time.monotonic()
    training = run.json("training")
    evaluation = Evaluation(run, tools, run.workspace.root / "trainings" / training["folder"])
    last = training["steps"]
    base = run.recipe.base_model
    if not evaluation.has(0):
        evaluation.step(0, models.load_unet(base.id, revision=base.revision, device=tools.device))
    if not evaluation.has(last):
        evaluation.step(last, _trained(run, tools))
    losses, scores, samples = (evaluation.rows(name) for name in ("losses", "scores", "samples"))
    run.save("stable_loss", _means(losses))
    run.save("samples_made", table_of(samples, SAMPLES))
    compared = compare(losses, scores, last)
    run.save("metrics", table_of(compared, METRICS))
    steps = len({row["step"] for row in losses})
    note(tools, "evaluate", computed=evaluation.computed, asked=steps, began=began)
    return f"{steps} checkpoints, {len(samples)} samples, {len(compared)} measures compared with the base model"


def load_scheduler(run: Run) -> Any:  # noqa: ANN401 (diffusers has no types)
    """The noise schedule that the run's recipe trains and measures with."""
    base = run.recipe.base_model
    return models.load_scheduler(base.id, revision=base.revision, zero_terminal_snr=run.recipe.train.zero_terminal_snr)


def _named(one: stable_loss.Loss) -> Row:
    return {"sample_id": one.sample_id, "timestep": one.timestep, "loss": one.loss}


def compare(losses: Sequence[Row], scores: Sequence[Row], last: int) -> list[Row]:
    """Each measure before (step 0) and after (`last`), paired by picture and timestep or by prompt and seed."""
    found = []
    held_out = any(row["split"] == "held_out" for row in losses)
    for split in ("held_out", "train") if held_out else ("train",):
        pairs = _pairs([row for row in losses if row["split"] == split], ("sample_id",), "loss", last)
        of = "held-out pictures" if split == "held_out" else "training pictures"
        found.append(_metric("stable loss", of, pairs, stable_loss))
    for metric, module in (("clip_image", clip_image), ("clip_score", clip_score)):
        pairs = _pairs([row for row in scores if row["metric"] == metric], ("prompt", "seed"), "value", last)
        if pairs:
            found.append(_metric(metric.replace("_", " "), "samples", pairs, module))
    return found


def _pairs(rows: Sequence[Row], key: Sequence[str], value: str, last: int) -> list[tuple[float, float]]:
    """(before, after) for each key that has both, averaged over the rest, such as timesteps."""
    found: dict[tuple[Any, ...], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        found[tuple(row[name] for name in key)][row["step"]].append(row[value])
    return [
        (float(np.mean(steps[0])), float(np.mean(steps[last]))) for steps in found.values() if steps[0] and steps[last]
    ]


def _metric(name: str, of: str, pairs: Sequence[tuple[float, float]], module: Any) -> Row:  # noqa: ANN401 (a plug-in)
    before, after = zip(*pairs, strict=True)
    interval = bootstrap.paired(before, after)
    return {
        "name": name,
        "of": of,
        "before": float(np.mean(before)),
        "after": float(np.mean(after)),
        "difference": interval.difference,
        "low": interval.low,
        "high": interval.high,
        "higher_is_better": module.HIGHER_IS_BETTER,
        "note": module.DESCRIPTION,
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


def _trained(run: Run, tools: Tools) -> Any:  # noqa: ANN401
    """The UNet with what the training made of it, read back from its files."""
    training, base = run.json("training"), run.recipe.base_model
    weights = run.workspace.root / "trainings" / training["folder"] / training["weights"]
    method = plugins.load("methods", training["method"], field="train.method")
    unet = models.load_unet(base.id, revision=base.revision, device=tools.device)
    return method.load(unet, weights)
