"""Step: compose captions, make views, cache latents and texts, and write the training set down."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pipeline import families, learning, ledger
from pipeline.errors import InputError, RecipeError
from pipeline.manifest import Row, table_of
from pipeline.model_files import latent_scale, text_hash, weights_hash
from pipeline.run import Run
from pipeline.selection import Kept
from pipeline.stage import Stored, Tools, ensure
from pipeline.steps import contamination
from pipeline.steps.reading import Composer
from pipeline.steps.select import load_kept
from pipeline.training import epochs
from pipeline.trainset import build, crops, latents, masks, texts

if TYPE_CHECKING:
    from pipeline.trainset.loader import ParquetExamples
    from pipeline.trainset.pixels import PixelExamples

LATENTS_SHARD, TEXTS_SHARD = 64, 256
READ = ("sample_id", "pixel_id", "view", "transforms", "caption", "split", "repeats", "mask")
"""Columns of the manifest that training reads."""


def standing(run: Run) -> list[Kept]:
    """The pictures that go on and that the ledger still has after the review."""
    stayed = {row["sample_id"] for row in run.rows("ledger", ("sample_id", "state")) if row["state"] in ledger.STAYED}
    return [one for one in load_kept(run) if one.sample_id in stayed]


def composed(run: Run, kept: list[Kept], bodies: Mapping[str, str] | None = None) -> dict[str, str]:
    """The caption that training reads, by sample id; of the bodies that stood after the review, or of those given."""
    if bodies is None:
        bodies = {row["sample_id"]: row["caption"] for row in run.rows("reviewed", ("sample_id", "caption"))}
    return Composer(run, kept).all(bodies)


def run(run: Run, tools: Tools) -> str:
    """Write the training set's folder and fill the cache; saves as `trainset` its digest and how it was `encoded`.

    The digest says which pictures and captions these are; `encoded`, the fingerprints of latents and texts, at which
    sizes and by which models they were read (for a method that reads pixels, the sizes). Both decide a training.

    Raises:
        InputError: nothing is left to train on.
        RecipeError: the loss is to be masked, and there are no masks.
        ContaminationError: something that is measured on would be trained on.
    """
    kept = standing(run)
    keep = run.recipe.caption.keep_tokens if run.recipe.caption.shuffle else None
    masked = run.recipe.train.masked_loss
    rows = build.rows_of(kept, composed(run, kept), run.recipe.augment, masked=masked, keep=keep)
    train = [row for row in rows if row["split"] == "train"]
    if not train:
        raise InputError(
            "no picture is left to train on",
            field="sources",
            value=f"{len(run.rows('origins'))} files",
            remedy="See why with `gesso ledger`, then loosen the rule that took most.",
        )
    if run.recipe.train.masked_loss and not any(row["mask"] for row in train):
        raise RecipeError(
            "no picture to train on has a mask",
            field="train.masked_loss",
            value=True,
            remedy="Put NAME-masklabel.png beside pictures, or name the folder of masks in the source's masks.",
        )
    contamination.check(run, rows, tools)
    folder = build.write(run.workspace, rows, kept, title=run.recipe.name, provenance=_provenance(run))
    run.save("views", table_of(rows, build.MANIFEST))
    if learning.reads_latents(run.recipe):
        encoded = [one.folder.name for one in cached(run, rows, tools).values()]
    else:
        encoded = [run.recipe.buckets.model_dump_json()]
    told = {"digest": folder.name, "rows": len(rows), "train": len(train), "encoded": encoded}
    run.save_json("trainset", told)
    if run.recipe.train.epochs is not None:
        run.save_json("trainset", {**told, "batches": _batches(run, train, tools)})
    pictures = len({row["sample_id"] for row in train})
    counts = Counter(row["split"] for row in rows)
    said = f"{pictures} pictures in {len(train)} views to train on, {counts['held_out']} held out"
    if run.recipe.train.epochs is not None:
        said += f", {run.train.steps} steps make {run.recipe.train.epochs} epoch(s)"
    return f"{said}, {counts['prior']} of the class" if counts["prior"] else said


def _batches(run: Run, train: list[Row], tools: Tools) -> int:
    """Batches of an epoch of the rows to train on; a method that reads pixels decodes them to see their sizes."""
    found = examples(run, "train", tools) if learning.reads_latents(run.recipe) else pixels(run, train, tools)
    return epochs.batches(found.sizes, found.repeats, batch_size=run.recipe.train.batch_size)


def cached(run: Run, rows: list[Row], tools: Tools) -> dict[str, Stored]:
    """`latents` of every row and `texts` of every caption (and the empty one), computed where they are missing.

    Where text encoders are at work in each step there are no texts. For a family whose UNet is told how pictures were
    cut there are `crops`, too, of every row, and where a row has a mask, `masks`.
    """
    base = run.located.base_model
    folder = learning.locate(run.located)
    shared: dict[str, Any] = {"base": base.id, "revision": base.revision}
    params = latents.Params(buckets=run.recipe.buckets, **shared)
    moments = ensure(
        latents,  # type: ignore[arg-type]
        rows,
        params,
        tools,
        weights=weights_hash(folder, "vae"),
        cache=True,
        shard=LATENTS_SHARD,
        header=latents.header(params),
    )
    found = {"latents": moments}
    if not learning.reads_captions(run.recipe):
        captions = sorted({"", *(row["caption"] for row in rows)})
        found["texts"] = ensure(
            texts,  # type: ignore[arg-type]
            [{"caption": caption} for caption in captions],
            texts.Params(**shared),
            tools,
            weights=text_hash(folder),
            cache=True,
            shard=TEXTS_SHARD,
        )
    told, masked = families.of(folder).told_sizes, any(row["mask"] for row in rows)
    sized = [dict(zip(SIZES, size, strict=True)) | row for row, size in _sized(rows, moments)] if told or masked else []
    if told:
        params_of_cut = crops.Params(buckets=run.recipe.buckets)
        found["crops"] = ensure(crops, sized, params_of_cut, tools, cache=True)  # type: ignore[arg-type]
    if masked:
        params_of_masks = masks.Params(buckets=run.recipe.buckets)
        found["masks"] = ensure(masks, sized, params_of_masks, tools, cache=True)  # type: ignore[arg-type]
    return found


SIZES = ("height", "width", "rows", "columns")
"""Of a picture, and of its latents."""


def _sized(rows: list[Row], moments: Stored) -> Iterator[tuple[Row, list[int | None]]]:
    """Rows with the sizes (see `SIZES`) that their latents were made with."""
    names = [f"latents__{name}" for name in ("original_height", "original_width", "height", "width")]
    for row, size in zip(rows, moments.table(names).to_pylist(), strict=True):
        yield row, [size[name] for name in names]


def examples(run: Run, split: str, tools: Tools) -> "ParquetExamples":
    """The rows of one split as a UNet's method reads them: `train` with all views, others with their pictures."""
    from pipeline.trainset.loader import ParquetExamples  # imports torch

    rows = [row for row in run.rows("views", READ) if row["split"] == split]
    before, folder = len(tools.stats), learning.locate(run.located)
    stored = cached(run, rows, tools)
    del tools.stats[before:]  # nothing was computed here: the cache is full
    scale, shift = latent_scale(folder)
    return ParquetExamples(
        rows,
        stored["latents"],
        stored.get("texts"),
        digest=run.json("trainset")["digest"],
        scale=scale,
        shift=shift,
        crops=stored.get("crops"),
        masks=stored.get("masks"),
        nothing_is_zeros=families.nothing_is_zeros(folder),
    )


def pixels(run: Run, rows: list[Row], tools: Tools) -> "PixelExamples":
    """Rows of the training set as a method reads them that trains on pixels."""
    from pipeline.trainset.pixels import PixelExamples  # imports torch

    return PixelExamples(rows, run.recipe.buckets, tools, digest=run.json("trainset")["digest"])


def _provenance(run: Run) -> dict[str, str]:
    recipe = run.recipe
    return {
        "Recipe": f"{recipe.name} ({recipe.digest[:12]})",
        "Sources": ", ".join(f"{source.kind} {source.path.name}" for source in recipe.sources),
        "Rules": ", ".join(f"{column} {limit.min} to {limit.max}" for column, limit in recipe.rules.items()) or "none",
        "Captions": f"{recipe.caption.captioner} {recipe.caption.model or ''}".strip(),
        "Views": str(recipe.augment.views),
    }
