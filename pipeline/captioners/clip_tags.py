"""Tags from a vocabulary of your own, zero-shot by CLIP: words whose score with the picture reaches their limit."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, Field

from pipeline.errors import RecipeError
from pipeline.manifest import Row
from pipeline.model_files import locate, weights_hash

VERSION = 1
DESCRIPTION = "Tags from a file of words by CLIP, each from its limit on (`gesso tags` measures limits)."
LOOKS = True
SENTENCES = False
READS = ()


class Params(BaseModel, frozen=True, extra="forbid"):
    """What decides the tags beside model and vocabulary, which are known by their hashes."""

    model: str = Field(default="starter", exclude=True, description="CLIP: starter, a folder, or a hub id")
    revision: str | None = Field(default=None, exclude=True, description="commit of the hub model")
    vocabulary: Path | None = Field(
        default=None, exclude=True, description="text file, a tag a line, behind a tab its limit (100 x cosine)"
    )
    template: str = Field(default="a picture of {}", description="what CLIP reads of a tag, which stands for {}")
    apart: float = Field(
        default=2.0,
        ge=0,
        le=6,
        description="a tag without limit is taken so many standard deviations above the vocabulary's mean, 0 to 6",
    )
    most: int = Field(default=20, ge=1, le=500, description="at most so many tags a picture, the surest first")


def weights(params: Params) -> str:
    """Hash of the CLIP and of the vocabulary.

    Raises:
        ModelError: the CLIP is not there and cannot be had.
        InputError: the vocabulary cannot be read.
        RecipeError: none is named.
    """
    from pipeline.matching import tags

    words = tags.read(_vocabulary(params))
    model = weights_hash(locate(params.model, params.revision, part="open_clip", field="caption.tags.model"))
    return hashlib.sha256(repr([model, words.tags, sorted(words.limits.items())]).encode()).hexdigest()


def provenance(params: Params) -> str:
    """Tagger, model and revision, the vocabulary, and the settings that are not the usual ones."""
    model = params.model if params.revision is None else f"{params.model}@{params.revision}"
    usual = Params()
    told = {"vocabulary": params.vocabulary and params.vocabulary.name, **params.model_dump()}
    changed = (f"{name}={one}" for name, one in told.items() if one != getattr(usual, name))
    return " ".join(["clip_tags", model, *changed])


def caption(rows: Sequence[Row], params: Params, *, device: str = "cpu") -> list[str]:
    """Each picture's tags, parted by commas: those that are furthest above their limits first.

    Raises:
        ModelError: the CLIP is not there and cannot be had.
        InputError: the vocabulary cannot be read.
        RecipeError: none is named.
    """
    import numpy as np

    from pipeline.matching import tags
    from pipeline.matching.clip import Clip

    words = tags.read(_vocabulary(params))
    if not rows:
        return []
    clip = Clip(params.model, revision=params.revision, device=device, field="caption.tags.model")
    texts = clip.texts([params.template.format(tag) for tag in words.tags])
    scores = 100 * (clip.pictures([row["pixels"] for row in rows]) @ texts.T).double().numpy()
    free = scores.mean(axis=1) + params.apart * scores.std(axis=1)
    limits = np.tile(free[:, None], len(words.tags))
    for place, tag in enumerate(words.tags):
        if tag in words.limits:
            limits[:, place] = words.limits[tag]
    above = scores - limits
    said = []
    for row in above:
        ranked = [place for place in np.argsort(-row, kind="stable") if row[place] >= 0]
        said.append(", ".join(words.tags[place] for place in ranked[: params.most]))
    return said


def _vocabulary(params: Params) -> Path:
    if params.vocabulary is None:
        raise RecipeError(
            "this tagger needs a vocabulary",
            field="caption.tags.params.vocabulary",
            value=None,
            remedy="Name a text file with a tag on each line.",
        )
    return params.vocabulary
