"""Limits of tags, measured on pictures whose captions are known."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows import settings
from flows.reviewing import captioned
from pipeline import imaging
from pipeline.errors import InputError, PictureError
from pipeline.run import Run
from pipeline.workspace import write_bytes


@dataclass(frozen=True)
class Limits:
    """A vocabulary that was written with a limit for each tag; `taken` is the share of known pictures with the tag."""

    run: Run
    path: Path
    known: int
    limits: dict[str, float]
    taken: dict[str, float]

    def value(self) -> dict[str, Any]:
        """For a script: `run`, `path`, `known` (pictures), and `limits` and `taken` by tag."""
        told = {"limits": self.limits, "taken": self.taken}
        return {"run": self.run.id, "path": str(self.path), "known": self.known, **told}

    def words(self) -> str:
        """What was written, and how to use it."""
        unused = sum(not share for share in self.taken.values())
        told = f"{len(self.limits)} tags with their limits, by {self.known} pictures with known captions: {self.path}"
        told += f"\n{unused} tags would be given to none of them" if unused else ""
        return f"{told}\nIn a recipe: caption: {{tags: {{tagger: clip_tags, params: {{vocabulary: {self.path}}}}}}}"


def limits(run: Run, vocabulary: Path, path: Path, *, precision: float) -> Limits:
    """Write `vocabulary` to `path` with a limit for each tag, from which on `precision` (0 to 1) of pictures show it.

    A picture shows what its caption names, where that is from beside the file or a person's. CLIP and what it reads of
    a tag are those of the recipe's `caption.tags`, or the starter's.

    Raises:
        InputError: there is nothing to measure on, `path` is there already, or the vocabulary cannot be read.
        ModelError: the CLIP is not there and cannot be had.
    """
    rows = captioned(run)
    known = [row for row in rows if (row.source == "sidecar" or row.decided) and row.caption.strip()]
    if not known:
        raise InputError(
            "no caption is from beside a file or from a person, so nothing is known of what pictures show",
            field="WORKSPACE",
            value=str(run.workspace.root),
            remedy="Review some captions first, or write limits into the vocabulary yourself.",
        )
    if path.exists():
        raise InputError("it is there already", field="--to", value=str(path), remedy="Name another file.")

    import numpy as np

    from pipeline.captioners import clip_tags
    from pipeline.matching import tags
    from pipeline.matching.clip import Clip
    from pipeline.steps.measure import params_of

    words = tags.read(vocabulary, field="--vocabulary")
    own = run.recipe.caption.tags
    told = own.tagger_params if own and own.tagger == "clip_tags" else {}
    params: Any = params_of(clip_tags, told, field="caption.tags.params")
    with settings.tools(run.workspace) as tools:
        clip = Clip(params.model, revision=params.revision, device=tools.device, field="caption.tags.model")
        texts, seen, shown = clip.texts([params.template.format(tag) for tag in words.tags]), [], []
        for place, row in enumerate(known):
            tools.progress("tags", place, len(known))
            try:
                pixels = imaging.decode(tools.read(row.sample_id)).pixels
            except PictureError:
                continue
            seen.append((100 * (clip.pictures([pixels]) @ texts.T)[0]).double().numpy())
            shown.append(row.caption)
        tools.progress("tags", len(known), len(known))
    scores, truth = np.array(seen), tags.named(shown, words.tags)
    found = tags.calibrated(scores, truth, np.ones(len(shown), bool), precision=precision)
    lines = [f"# limits are 100 x cosine, measured on {len(shown)} pictures for a precision of {precision}"]
    lines += [f"{tag}\t{limit:.4f}" for tag, limit in zip(words.tags, found, strict=True)]
    write_bytes(path, ("\n".join(lines) + "\n").encode())
    measured = {tag: round(float(limit), 4) for tag, limit in zip(words.tags, found, strict=True)}
    taken = {tag: round(float((scores[:, place] >= found[place]).mean()), 4) for place, tag in enumerate(words.tags)}
    return Limits(run, path, len(shown), measured, taken)
