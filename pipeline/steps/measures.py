"""What is measured of a model: pictures that it paints, how CLIP sees them, and its loss on pictures.

Apart from the step `evaluate`, since torch and diffusers take long to import, and a step that finds all of it needs
neither.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import imaging, learning, models, plugins, sampling, seeing
from pipeline.manifest import Row
from pipeline.metrics import clip_image, clip_score, drift, stable_loss
from pipeline.run import Run
from pipeline.stage import Tools
from pipeline.steps.trainset import examples, pixels
from pipeline.training.painter import Painter
from pipeline.trainset import views


def samples(run: Run, tools: Tools, painter: Painter, rows: Sequence[Row]) -> list[Row]:
    """A PNG for each row's `prompt` and `seed`, painted as the recipe says."""
    recipe, base = run.recipe.evaluate, run.located.base_model
    pipe = models.load_pipeline(
        base.id,
        revision=base.revision,
        painter=painter,
        zero_terminal_snr=run.recipe.train.zero_terminal_snr,
        device=tools.device,
    )
    pictures = sampling.sample(
        pipe,
        [(row["prompt"], row["seed"]) for row in rows],
        steps=recipe.steps,
        guidance=recipe.guidance,
        guidance_rescale=recipe.guidance_rescale,
        negative_prompt=recipe.negative_prompt,
        size=run.recipe.buckets.resolution,
        progress=lambda done, _: tools.advance(done),
        say=tools.say,
    )
    return [{"samples__png": imaging.encode_png(pixels)} for pixels in pictures]


def scores(run: Run, tools: Tools, rows: Sequence[Row], references: Sequence[Row]) -> list[Row]:
    """CLIP's scores of each row's `png`: against its `prompt`, and against `references`, views of the training set."""
    how = {"clip": run.recipe.evaluate.clip, "device": tools.device}
    pictures = [imaging.decode(row["png"]).pixels for row in rows]
    by_prompt = clip_score.measure(pictures, [row["prompt"] for row in rows], **how)
    by_picture = clip_image.measure(pictures, [_pixels(run, tools, row) for row in references], **how)
    return [
        {"scores__clip_score": one, "scores__clip_image": other}
        for one, other in zip(by_prompt, by_picture, strict=True)
    ]


def drifts(run: Run, tools: Tools, rows: Sequence[Row], before: Sequence[Row]) -> list[Row]:
    """How far each row's `png` is from the base model's of the same prompt and seed."""
    found = drift.measure(
        *([imaging.decode(row["png"]).pixels for row in each] for each in (rows, before)),
        clip=run.recipe.evaluate.clip,
        device=tools.device,
    )
    return [{"drifts__drift": one} for one in found]


def losses(run: Run, tools: Tools, painter: Painter, rows: Sequence[Row]) -> list[Row]:
    """The stable loss of whole pictures, given by `sample_id` and `split`: its timesteps, and the loss at each."""
    scheduler, found = load_scheduler(run), defaultdict[str, list[stable_loss.Loss]](list)
    for split in ("train", "held_out", "prior"):
        wanted = {row["sample_id"] for row in rows if row["split"] == split}
        if not wanted:
            continue
        data, before = examples(run, split, tools), len(found)
        places = [place for place, row in enumerate(data.rows) if row["view"] == 0 and row["sample_id"] in wanted]

        def told(done: int, total: int, before: int = before, count: int = len(places)) -> None:
            tools.advance(before + count * done // total)

        for one in stable_loss.measure(painter, data, scheduler, rows=places, progress=told):
            found[one.sample_id].append(one)
    by_picture = [found[row["sample_id"]] for row in rows]
    return [
        {"losses__timesteps": [one.timestep for one in each], "losses__losses": [one.loss for one in each]}
        for each in by_picture
    ]


def values(run: Run, tools: Tools, model: Any, rows: Sequence[Row]) -> list[Row]:  # noqa: ANN401
    """What is measured of a model that sees pixels on whole pictures, given by `sample_id` and `split`."""
    method = plugins.load("methods", run.recipe.train.method, field="train.method")
    views_of = {row["sample_id"]: row for row in run.rows("views") if row["view"] == 0}
    found = defaultdict[str, list[Row]](list)
    for split in ("train", "held_out"):
        wanted = [views_of[row["sample_id"]] for row in rows if row["split"] == split]
        if wanted:
            for one in seeing.values(method, model, pixels(run, wanted, tools), *helpers(run)):
                found[one["sample_id"]].append(one)
    by_picture = [found[row["sample_id"]] for row in rows]
    return [
        {"values__metrics": [one["metric"] for one in each], "values__values": [one["value"] for one in each]}
        for each in by_picture
    ]


def load_base(run: Run, tools: Tools) -> Any:  # noqa: ANN401
    """The model that the run's method trains, as it is before: the base model's, or drawn from the seed."""
    recipe, base = run.recipe, run.located.base_model
    seed = recipe.train.seed if base.scratch else None
    if learning.learns(recipe) == "unet":
        return models.load_painter(
            base.id,
            revision=base.revision,
            device=tools.device,
            seed=seed,
            reads=learning.reads_captions(recipe),
            precision=recipe.train.mixed_precision,
            frozen=recipe.train.frozen,
        )
    return models.load_trainable(learning.learns(recipe), learning.locate(run.located), device=tools.device, seed=seed)


def helpers(run: Run) -> tuple[Any, ...]:
    """What the method's `train` takes between examples and settings: a noise schedule, a processor, or nothing."""
    match learning.learns(run.recipe):
        case "unet":
            return (load_scheduler(run),)
        case "clip" | "blip" as learns:
            return (models.load_processor(learns, learning.locate(run.located)),)
        case _:
            return ()


def load_scheduler(run: Run) -> Any:  # noqa: ANN401
    """The noise schedule that the run's recipe trains and measures with."""
    base = run.located.base_model
    return models.load_scheduler(base.id, revision=base.revision, zero_terminal_snr=run.recipe.train.zero_terminal_snr)


def _pixels(run: Run, tools: Tools, row: Row) -> NDArray[np.uint8]:
    """A training picture at its bucket's size."""
    pixels = imaging.decode(tools.read(row["sample_id"])).pixels
    return views.make(pixels, row["pixel_id"], 0, [], run.recipe.buckets).pixels
