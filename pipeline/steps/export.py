"""Not a step of a run: what a run prepared, written for those who train elsewhere."""

from dataclasses import replace
from importlib import metadata
from pathlib import Path

from pipeline import atomic, plugins
from pipeline.errors import InputError
from pipeline.exports import _card
from pipeline.exports._picture import Picture
from pipeline.manifest import by, digest
from pipeline.run import Run
from pipeline.selection import Kept
from pipeline.stage import Tools
from pipeline.steps import review
from pipeline.steps.forget import MARK
from pipeline.steps.trainset import composed, standing
from pipeline.trainset import build
from pipeline.workspace import write_bytes


def export(run: Run, tools: Tools, *, format_: str, to: Path) -> dict[str, object]:
    """Write the pictures that a run keeps, with captions, rights and split, as a new folder `to`; says what is there.

    Captions are those that stand by now, with all that people have decided, also since the run; where none was proposed
    yet, those beside the files. They are composed as training reads them.

    Raises:
        InputError: `to` is there and not empty, or there is nothing to write.
        RecipeError: there is no such format.
    """
    module = plugins.load("exports", format_, field="--format")
    if to.exists() and not (to.is_dir() and not any(to.iterdir())):
        raise InputError(
            "there is something here already, and nothing is overwritten",
            field="--to",
            value=str(to),
            remedy="Name a new folder.",
        )
    bodies = standing_bodies(run)
    kept = [one for one in standing(run) if one.sample_id in bodies]
    if not kept:
        raise InputError(
            "this run keeps no picture", field="--run", value=run.id, remedy="See why with `gesso ledger`."
        )
    pictures = pictures_of(run, kept, bodies)
    told = digest(sorted([one.sample_id, one.split, one.caption] for one in pictures))
    trained = {row["sample_id"]: row["caption"] for row in run.rows("reviewed", ("sample_id", "caption"))}
    # of a revoked one nothing but its digest is left whole
    whole = trained == bodies and not (run.folder / MARK).exists()
    trainset = run.json("trainset").get("digest") if whole else None
    facts = {
        "Digest of pictures, split and captions": told,
        **({"Training set in gesso": trainset} if trainset else {}),
        "Recipe": f"{run.recipe.name} ({run.recipe.digest[:12]})",
        "Written by": f"gesso {metadata.version('gesso')}, as {format_}",
    }
    with atomic.folder(to.absolute()) as folder:
        module.write(pictures, folder, tools.read, lambda done, total: tools.progress("export", done, total))
        card = _card.card(pictures, title=run.recipe.name, files=module.FILES, facts=facts)
        write_bytes(folder / "README.md", card.encode())
        write_bytes(folder / "ATTRIBUTION.md", build.attribution(_by_file(kept, pictures)).encode())
    return {"run": run.id, "to": str(to), "format": format_, "pictures": len(pictures), "digest": told}


def standing_bodies(run: Run) -> dict[str, str]:
    """The caption's body of each picture that nobody dropped, by sample id."""
    if not run.rows("captions", ("sample_id",)):
        return {one.sample_id: one.sidecar or "" for one in standing(run)}
    return {row.sample_id: row.caption for row in review.rows_of(run) if row.verdict != "drop"}


def pictures_of(run: Run, kept: list[Kept], bodies: dict[str, str]) -> list[Picture]:
    """The pictures with these captions."""
    captions = composed(run, kept, bodies)
    formats = by(run.rows("samples", ("sample_id", "canonical__format")), "sample_id")
    return [
        Picture(
            sample_id=one.sample_id,
            pixel_id=one.pixel_id,
            format=formats[one.sample_id]["canonical__format"],
            split=one.split,
            body=bodies[one.sample_id],
            caption=captions[one.sample_id],
            origins=one.origins,
            mask=next((mask for origin in one.origins if (mask := origin.get("mask"))), None),
        )
        for one in kept
    ]


def _by_file(kept: list[Kept], pictures: list[Picture]) -> list[Kept]:
    """What is kept, its places named by the exported file: paths of this machine are nobody else's business."""
    names = {one.sample_id: one.name for one in pictures}
    return [
        replace(one, origins=tuple({**origin, "origin": names[one.sample_id]} for origin in one.origins))
        for one in kept
    ]
