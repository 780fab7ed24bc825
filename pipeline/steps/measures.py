"""What is measured of a model: pictures that it paints, how CLIP sees them, and its loss on pictures.

Apart from the step `evaluate`, since torch and diffusers take long to import, and a step that finds all of it needs
neither.
"""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import imaging, learning, models, plugins, sampling, seeing
from pipeline.manifest import Row
from pipeline.metrics import clip_image, clip_score, stable_loss
from pipeline.run import Run
from pipeline.stage import Tools
from pipeline.steps.trainset import examples, pixels
from pipeline.trainset import views


def samples(run: Run, tools: Tools, unet: Any) -> list[Row]:  # noqa: ANN401 (diffusers has no types)
    """A PNG for each of the recipe's prompts and seeds: rows of prompt, seed and png."""
    recipe, base = run.recipe.evaluate, run.recipe.base_model
    if not recipe.prompts:
        return []
    pipe = models.load_pipeline(
        base.id,
        revision=base.revision,
        unet=unet,
        zero_terminal_snr=run.recipe.train.zero_terminal_snr,
        device=tools.device,
    )
    pairs = [(prompt, seed) for prompt in recipe.prompts for seed in recipe.seeds]
    pictures = sampling.sample(
        pipe,
        pairs,
        steps=recipe.steps,
        guidance=recipe.guidance,
        guidance_rescale=recipe.guidance_rescale,
        negative_prompt=recipe.negative_prompt,
        size=run.recipe.buckets.resolution,
        progress=functools.partial(tools.progress, "samples"),
    )
    return [
        {"prompt": prompt, "seed": seed, "png": imaging.encode_png(pixels)}
        for (prompt, seed), pixels in zip(pairs, pictures, strict=True)
    ]


def scores(run: Run, tools: Tools, painted: Sequence[Row], references: Sequence[Row]) -> list[Row]:
    """CLIP's scores of what was painted; `references` are the views, of the training set, that it is compared with."""
    if not painted:
        return []
    how = {"clip": run.recipe.evaluate.clip, "device": tools.device}
    pictures = [imaging.decode(row["png"]).pixels for row in painted]
    scored = {
        "clip_score": clip_score.measure(pictures, [row["prompt"] for row in painted], **how),
        "clip_image": clip_image.measure(pictures, [_pixels(run, tools, row) for row in references], **how),
    }
    return [
        {"metric": name, "prompt": row["prompt"], "seed": row["seed"], "value": value}
        for name, values in scored.items()
        for row, value in zip(painted, values, strict=True)
    ]


def losses(run: Run, tools: Tools, unet: Any, pictures: Sequence[Row]) -> list[Row]:  # noqa: ANN401
    """The stable loss of whole pictures, given as rows of the training set, of both splits."""
    scheduler = load_scheduler(run)
    told = functools.partial(tools.progress, "stable loss")
    found: list[Row] = []
    for split in ("train", "held_out"):
        wanted = {row["sample_id"] for row in pictures if row["split"] == split}
        data = examples(run, split, tools)
        rows = [place for place, row in enumerate(data.rows) if row["view"] == 0 and row["sample_id"] in wanted]
        if rows:
            found += [
                {"split": split, "sample_id": one.sample_id, "timestep": one.timestep, "loss": one.loss}
                for one in stable_loss.measure(unet, data, scheduler, rows=rows, progress=told)
            ]
    return found


def values(run: Run, tools: Tools, model: Any, pictures: Sequence[Row]) -> list[Row]:  # noqa: ANN401
    """What is measured of a model that sees pixels: its loss and more, by split, sample and metric."""
    method = plugins.load("methods", run.recipe.train.method, field="train.method")
    found: list[Row] = []
    for split in ("train", "held_out"):
        rows = [row for row in pictures if row["split"] == split]
        if rows:
            measured = seeing.values(method, model, pixels(run, rows, tools), *helpers(run))
            found += [{"split": split, **one} for one in measured]
    return found


def load_base(run: Run, tools: Tools) -> Any:  # noqa: ANN401
    """The model that the run's method trains, as it is before: the base model's, or drawn from the seed."""
    recipe = run.recipe
    seed = recipe.train.seed if recipe.base_model.scratch else None
    return models.load_trainable(learning.learns(recipe), learning.locate(recipe), device=tools.device, seed=seed)


def helpers(run: Run) -> tuple[Any, ...]:
    """What the method's `train` takes between examples and settings: a noise schedule, a processor, or nothing."""
    match learning.learns(run.recipe):
        case "unet":
            return (load_scheduler(run),)
        case "clip" | "blip" as learns:
            return (models.load_processor(learns, learning.locate(run.recipe)),)
        case _:
            return ()


def load_scheduler(run: Run) -> Any:  # noqa: ANN401
    """The noise schedule that the run's recipe trains and measures with."""
    base = run.recipe.base_model
    return models.load_scheduler(base.id, revision=base.revision, zero_terminal_snr=run.recipe.train.zero_terminal_snr)


def _pixels(run: Run, tools: Tools, row: Row) -> NDArray[np.uint8]:
    """A training picture at its bucket's size."""
    pixels = imaging.decode(tools.read(row["sample_id"])).pixels
    return views.make(pixels, row["pixel_id"], 0, [], run.recipe.buckets).pixels
