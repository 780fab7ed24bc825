"""Class pictures that the base model paints: what it takes a class for, to be learned from again beside a subject.

They are files like any other source's, in a folder named by all that decides them; what is there is not painted again.
"""

from collections.abc import Sequence
from pathlib import Path

from pipeline import families, imaging, learning
from pipeline.manifest import digest
from pipeline.model_files import weights_hash
from pipeline.recipe import Recipe
from pipeline.settings import Painted, Source
from pipeline.stage import Tools
from pipeline.workspace import write_bytes

AT_ONCE = 8
"""Pictures that are painted before they are written."""


def ensure(recipe: Recipe, source: Source, tools: Tools) -> Source:
    """The source with its painted pictures in their folder, each with its prompt as caption.

    A source that is not painted comes back as it is.
    """
    if source.painted is None:
        return source
    folder = place(recipe, source, source.painted)
    lacking = [number for number in range(source.painted.count) if not _file(folder, number).exists()]
    if lacking:
        _paint(recipe, source.painted, folder, lacking, tools)
    return source.model_copy(update={"path": folder})


def place(recipe: Recipe, source: Source, painted: Painted) -> Path:
    """The folder of a source's painted pictures: below the source's own, by model, prompt, size, sampler and format."""
    base = learning.locate(recipe)
    parts = ("unet", "vae", "scheduler", *families.of(base).text_encoders)
    decided = [
        *(weights_hash(base, part) for part in parts),
        recipe.buckets.resolution,
        painted.model_dump(mode="json", exclude={"count"}),
        *([recipe.train.mixed_precision] if recipe.train.mixed_precision != "no" else []),
    ]
    return source.path / digest(decided)[:16]


def _paint(recipe: Recipe, painted: Painted, folder: Path, numbers: Sequence[int], tools: Tools) -> None:
    from pipeline import models, sampling  # imports torch

    base, device = recipe.base_model, tools.device
    painter = models.load_painter(
        base.id, revision=base.revision, device=device, precision=recipe.train.mixed_precision, frozen=True
    )
    pipe = models.load_pipeline(base.id, revision=base.revision, device=device, painter=painter)
    for start in range(0, len(numbers), AT_ONCE):
        tools.progress("class pictures", start, len(numbers))
        part = numbers[start : start + AT_ONCE]
        pictures = sampling.sample(
            pipe,
            [(_prompt(painted, number), painted.seed + number) for number in part],
            steps=painted.steps,
            guidance=painted.guidance,
            size=recipe.buckets.resolution,
            say=tools.say,
        )
        for number, pixels in zip(part, pictures, strict=True):
            write_bytes(_file(folder, number).with_suffix(".txt"), f"{_prompt(painted, number)}\n".encode())
            write_bytes(_file(folder, number), imaging.encode_png(pixels))
    tools.progress("class pictures", len(numbers), len(numbers))


def _prompt(painted: Painted, number: int) -> str:
    return painted.prompts[number % len(painted.prompts)]


def _file(folder: Path, number: int) -> Path:
    return folder / f"{number:05d}.png"
