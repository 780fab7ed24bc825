"""Beside the steps: what is to be known before a training, each a line with advice where something is amiss.

Memory and time are estimates from the shapes of the model's weights (`training/footprint.py`); what becomes of pictures
and captions is counted. Computes no row and loads no model.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from time import perf_counter

import numpy as np

from pipeline import advice, families, headers, learning, memory, shards
from pipeline.advice import Concept, Line
from pipeline.errors import ModelError
from pipeline.manifest import Row
from pipeline.model_files import config, text_hash
from pipeline.recipe import Recipe
from pipeline.run import Run
from pipeline.stage import Stored, fingerprint, requests_of
from pipeline.training.footprint import Footprint, Shape, footprint
from pipeline.training.settings import TrainSettings
from pipeline.trainset import texts


def of_run(run: Run, *, device: str) -> list[Line]:
    """Of a run whose training set is made; `device` is where models run, such as `auto`."""
    recipe, settings = run.recipe, run.train
    views = run.rows("views", ("sample_id", "view", "caption", "split", "repeats"))
    origins = {row["sample_id"]: row for row in reversed(run.rows("origins")) if row["sample_id"]}
    names = {sample_id: Path(row["origin"]).name for sample_id, row in origins.items()}
    train = [row for row in views if row["split"] == "train"]
    learned = [row for row in views if row["split"] in ("train", "prior") and row["view"] == 0]
    wanted = {row["sample_id"] for row in learned}
    sides = {
        row["sample_id"]: (row["resolution__long_side"], row["resolution__short_side"])
        for row in run.rows("samples", ("sample_id", "resolution__long_side", "resolution__short_side"))
        if row["sample_id"] in wanted
    }
    captions = {row["sample_id"]: row["caption"] for row in learned}
    used = _used(run, sorted(set(captions.values())))
    return [
        *of_recipe(run.located, settings, device=device),
        *advice.concepts(_concepts(recipe, train, origins), settings),
        advice.crops([(names[one], pair) for one, pair in sides.items()], recipe.buckets),
        *advice.cut_captions([(names[one], used[caption]) for one, caption in captions.items() if caption in used]),
    ]


def of_recipe(recipe: Recipe, settings: TrainSettings, *, device: str) -> list[Line]:
    """What the recipe alone tells, with its `settings` in steps (0 where those are not known yet)."""
    lines: list[Line] = []
    gpu = device.startswith("cuda") or (device == "auto" and memory.gpu_there())
    folder = _base(recipe)
    if folder is not None:
        found = _footprint(recipe, settings, folder, gpu=gpu)
        if found is not None:
            prior = _prior(recipe)
            lines.append(advice.fits(found, settings, memory.room(gpu=gpu), gpu=gpu, prior=prior))
            lines += advice.takes(found, settings, None if gpu else speed(), prior=prior)
        lines += advice.precision(settings, gpu=gpu)
        lines += advice.advised(families.of(folder), settings)
        if native := _native(folder):
            lines += advice.trained_at(native, recipe.buckets)
    return [*lines, *advice.rates(settings)]


def speed() -> float:
    """Floating-point operations a second of this machine's CPUs on large products of matrices, tried for a moment."""
    one = np.ones((768, 768), np.float32)
    best = math.inf
    for _ in range(3):
        began = perf_counter()
        one @ one
        best = min(best, perf_counter() - began)
    return float(2 * one.shape[0] ** 3 / best)


def plain(lines: Sequence[Line]) -> list[dict[str, str]]:
    """Lines as values that JSON can hold."""
    return [asdict(one) for one in lines]


def _base(recipe: Recipe) -> Path | None:
    """The folder of a base model that paints, where it is here."""
    if learning.learns(recipe) != "unet" or _on_hub(recipe):
        return None
    try:
        return learning.locate(recipe)
    except ModelError:
        return None


def _on_hub(recipe: Recipe) -> bool:
    """Whether the model would have to be asked for at a hub, which a plan does not."""
    return recipe.base_model.id != "starter" and not Path(recipe.base_model.id).expanduser().exists()


def _footprint(recipe: Recipe, settings: TrainSettings, folder: Path, *, gpu: bool) -> Footprint | None:
    """None where the model is to be drawn and has no weights yet."""
    shapes = _shapes(folder / "unet")
    if not shapes:
        return None
    side = advice.square(recipe.buckets) // _shrinks(folder)
    encoders = families.of(folder).text_encoders if learning.reads_captions(recipe) else ()
    read = {f"{part}.{name}": shape for part in encoders for name, shape in _shapes(folder / part).items()}
    return footprint(shapes, config(folder / "unet"), settings, size=(side, side), texts=read, cpu=not gpu)


def _shrinks(folder: Path) -> int:
    """Pixels a latent cell, along one side."""
    return int(2 ** (len(config(folder / "vae").get("block_out_channels", (64,))) - 1))


def _native(folder: Path) -> int | None:
    """Side in px of the pictures that the base model was trained on, where its configuration says."""
    side = config(folder / "unet").get("sample_size")
    return side * _shrinks(folder) if isinstance(side, int) else None


def _shapes(folder: Path) -> dict[str, Shape]:
    """Shapes of a component's weights by name."""
    found: dict[str, Shape] = {}
    for path in sorted(folder.glob("*.safetensors")):
        if not {".fp16", ".non_ema", ".ema"} & set(path.suffixes):
            found |= {name: one.shape for name, one in headers.read(path).tensors.items()}
    return found


def _prior(recipe: Recipe) -> bool:
    return bool(recipe.train.prior_weight) and any(source.role == "prior" for source in recipe.sources)


def _concepts(recipe: Recipe, rows: Sequence[Row], origins: Mapping[str, Row]) -> list[Concept]:
    pictures: dict[str, set[str]] = {}
    looks: dict[str, int] = {}
    for row in rows:
        origin = origins[row["sample_id"]]
        source = recipe.sources[origin["source"]].path.name
        name = f"{origin['class']} ({source})" if origin["class"] else source
        pictures.setdefault(name, set()).add(row["sample_id"])
        looks[name] = looks.get(name, 0) + row["repeats"]
    return [Concept(name, len(pictures[name]), looks[name]) for name in sorted(pictures)]


def _used(run: Run, captions: Sequence[str]) -> dict[str, int]:
    """Tokens of each caption, where they were read for the training set."""
    if not learning.reads_latents(run.recipe) or learning.reads_captions(run.recipe):
        return {}
    base = run.located.base_model
    params = texts.Params(base=base.id, revision=base.revision)
    named = fingerprint(texts, params, text_hash(learning.locate(run.located)))
    folder = run.workspace.table_folder("texts", named, cache=True)
    wanted = requests_of([{"caption": one} for one in captions], texts.KEY, texts.READS)
    if not shards.requests(folder, texts.KEY).issuperset(wanted):
        return {}
    rows = Stored(folder, texts.KEY, wanted, texts.ADDS).table(["texts__used"]).to_pylist()
    return {row["caption"]: row["texts__used"] for row in rows}
