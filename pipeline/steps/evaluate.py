"""Step: at checkpoints, render fixed prompts with fixed seeds and measure, always against the base model.

What was measured at a step lies beside the training's weights, under the name of what was asked, so that another run
finds it. The step itself fills what is missing and compares before with after.
"""

import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import imaging, models
from pipeline.manifest import Row, digest, table_of
from pipeline.metrics import bootstrap, clip_image, clip_score, sampling, stable_loss
from pipeline.run import Run
from pipeline.stage import Tools, note
from pipeline.steps.trainset import examples
from pipeline.workspace import write_table

MOST_PICTURES = 32
"""Pictures of each split that stable loss is measured on; the first by sample id, so always the same."""
SAMPLES = pa.schema(
    [("step", pa.int32()), ("prompt", pa.string()), ("seed", pa.int64()), ("png", pa.binary())]
)
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
    [("step", pa.int32()), ("metric", pa.string()), ("prompt", pa.string()), ("seed", pa.int64()), ("value", pa.float64())]
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
        pipe = models.load_pipeline(base.id, revision=base.revision, unet=unet, device=self._tools.device)
        pairs = [(prompt, seed) for prompt in recipe.prompts for seed in recipe.seeds]
        pictures = sampling.sample(
            pipe,
            pairs,
            steps=recipe.steps,
            guidance=recipe.guidance,
            negative_prompt=recipe.negative_prompt,
            size=self._run.recipe.buckets.resolution,
        )
        return [
            {"step": step, "prompt": prompt, "seed": seed, "png": imaging.encode_png(pixels)}
            for (prompt, seed), pixels in zip(pairs, pictures, strict=True)
        ]
