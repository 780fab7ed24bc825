"""Step: compose captions, make views, cache latents and texts, and write the training set down."""

from typing import TYPE_CHECKING, Any

from pipeline import learning, ledger
from pipeline.errors import InputError
from pipeline.manifest import Row, table_of
from pipeline.model_files import latent_scale, weights_hash
from pipeline.run import Run
from pipeline.selection import Kept
from pipeline.stage import Stored, Tools, ensure
from pipeline.steps.select import load_kept
from pipeline.trainset import build, latents, texts

if TYPE_CHECKING:
    from pipeline.trainset.loader import ParquetExamples
    from pipeline.trainset.pixels import PixelExamples

LATENTS_SHARD, TEXTS_SHARD = 64, 256


def standing(run: Run) -> list[Kept]:
    """The pictures that go on and that the ledger still has after the review."""
    stayed = {row["sample_id"] for row in run.rows("ledger") if row["state"] in ledger.STAYED}
    return [one for one in load_kept(run) if one.sample_id in stayed]


def composed(run: Run, kept: list[Kept]) -> dict[str, str]:
    """The caption that training reads, by sample id."""
    bodies = {row["sample_id"]: row["caption"] for row in run.rows("reviewed")}
    return {
        one.sample_id: build.compose(
            run.recipe.caption.compose,
            body=bodies[one.sample_id],
            class_=one.origins[0]["class"],
            trigger=one.origins[0]["trigger"],
        )
        for one in kept
    }


def run(run: Run, tools: Tools) -> str:
    """Write the training set's folder, and fill the cache where the method reads it; saves the digest as `trainset`.

    Raises:
        InputError: nothing is left to train on.
    """
    kept = standing(run)
    rows = build.rows_of(kept, composed(run, kept), run.recipe.augment)
    train = [row for row in rows if row["split"] == "train"]
    if not train:
        raise InputError(
            "no picture is left to train on",
            field="sources",
            value=f"{len(run.rows('origins'))} files",
            remedy="See why with `gesso ledger`, then loosen the rule that took most.",
        )
    folder = build.write(run.workspace, rows, kept, title=run.recipe.name, provenance=_provenance(run))
    run.save("views", table_of(rows, build.MANIFEST))
    run.save_json("trainset", {"digest": folder.name, "rows": len(rows), "train": len(train)})
    if learning.reads_latents(run.recipe):
        cached(run, rows, tools)
    pictures = len({row["sample_id"] for row in train})
    return f"{pictures} pictures in {len(train)} views to train on, {len(rows) - len(train)} held out"


def cached(run: Run, rows: list[Row], tools: Tools) -> tuple[Stored, Stored]:
    """Latents of every row and texts of every caption (and the empty one), computed where they are missing."""
    base = run.recipe.base_model
    folder = learning.locate(run.recipe)
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
    prompts = [*run.recipe.evaluate.prompts, run.recipe.evaluate.negative_prompt]
    captions = sorted({"", *(row["caption"] for row in rows), *prompts})
    embeddings = ensure(
        texts,  # type: ignore[arg-type]
        [{"caption": caption} for caption in captions],
        texts.Params(**shared),
        tools,
        weights=weights_hash(folder, "text_encoder"),
        cache=True,
        shard=TEXTS_SHARD,
    )
    return moments, embeddings


def examples(run: Run, split: str, tools: Tools, *, most: int | None = None) -> "ParquetExamples | PixelExamples":
    """The rows of one split as the run's method reads them: `train` with all views, `held_out` with its pictures.

    With `most` only that many pictures, the first by sample id, as they are.
    """
    rows = [row for row in run.rows("views") if row["split"] == split]
    if most is not None:
        rows = [row for row in rows if row["view"] == 0][:most]
    digest = run.json("trainset")["digest"]
    if not learning.reads_latents(run.recipe):
        from pipeline.trainset.pixels import PixelExamples  # imports torch

        return PixelExamples(rows, run.recipe.buckets, tools, digest=digest)
    from pipeline.trainset.loader import ParquetExamples  # imports torch

    moments, embeddings = cached(run, rows, tools)
    tools.stats[-2:] = []  # nothing was computed here: the cache is full
    scale, shift = latent_scale(learning.locate(run.recipe))
    return ParquetExamples(rows, moments, embeddings, digest=digest, scale=scale, shift=shift)


def _provenance(run: Run) -> dict[str, str]:
    recipe = run.recipe
    return {
        "Recipe": f"{recipe.name} ({recipe.digest[:12]})",
        "Sources": ", ".join(f"{source.kind} {source.path.name}" for source in recipe.sources),
        "Rules": ", ".join(f"{column} {limit.min} to {limit.max}" for column, limit in recipe.select.items()) or "none",
        "Captions": f"{recipe.caption.captioner} {recipe.caption.model or ''}".strip(),
        "Views": str(recipe.augment.views),
    }
