"""Tags of pictures from a list of words, by scores of CLIP, with a limit for each word that is measured.

A vocabulary is a text file, a tag a line; behind a tab may stand the tag's own limit (100 x cosine). What begins with #
is a remark.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError

LEAST = 5
"""Pictures that have to show a tag for its limit to be measured on its own."""
UNTOLD = 2.0
"""Where no picture is known to show any tag: standard deviations above a tag's mean over the pictures."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Tags in their order, and the limits that the file gives."""

    tags: tuple[str, ...]
    limits: Mapping[str, float]


def read(path: Path, *, field: str = "caption.tags.vocabulary") -> Vocabulary:
    """Read a vocabulary.

    Raises:
        InputError: it cannot be read, has no tag or one twice, or a limit is no number.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            "the vocabulary cannot be read", field=field, value=str(path), remedy="Name a UTF-8 text, a tag a line."
        ) from error
    limits: dict[str, float | None] = {}
    for number, line in enumerate(lines, start=1):
        tag, _, limit = line.partition("\t")
        tag = " ".join(tag.split())
        if not tag or tag.startswith("#"):
            continue
        if tag in limits:
            raise InputError("a tag comes twice", field=f"{path}, line {number}", value=tag, remedy="Take one out.")
        try:
            limits[tag] = float(limit) if limit.strip() else None
        except ValueError as error:
            raise InputError(
                "a limit is no number",
                field=f"{path}, line {number}",
                value=limit.strip(),
                remedy="Behind the tab stands 100 x cosine, such as 24.5, or nothing.",
            ) from error
    if not limits:
        raise InputError("the vocabulary has no tag", field=field, value=str(path), remedy="Write a tag a line.")
    return Vocabulary(tuple(limits), {tag: limit for tag, limit in limits.items() if limit is not None})


def calibrated(
    scores: NDArray[np.float64], shown: NDArray[np.bool_], known: NDArray[np.bool_], *, precision: float
) -> NDArray[np.float64]:
    """A limit for each tag: the lowest from which on at least the share `precision` of pictures show it.

    `scores` are pictures x tags; `shown` says which show what, for those that are `known` (pictures). A tag that fewer
    than `LEAST` of them show shares a limit with all others, in its own standard deviations from its own mean; where
    nothing is known, that is `UNTOLD` of them.
    """
    means, spreads = scores.mean(axis=0), np.maximum(scores.std(axis=0), 1e-9)
    apart, truth = ((scores - means) / spreads)[known], shown[known]
    shared = _limit(apart.ravel(), truth.ravel(), precision) if truth.any() else UNTOLD
    limits = [
        _limit(apart[:, place], truth[:, place], precision) if truth[:, place].sum() >= LEAST else shared
        for place in range(scores.shape[1])
    ]
    found: NDArray[np.float64] = means + np.array(limits) * spreads
    return found


def named(texts: Sequence[str], tags: Sequence[str]) -> NDArray[np.bool_]:
    """Which texts name which tags, as whole words whatever their case: texts x tags."""
    words = [f" {' '.join(_words(text))} " for text in texts]
    wanted = [f" {' '.join(_words(tag))} " for tag in tags]
    return np.array([[tag in text for tag in wanted] for text in words], bool).reshape(len(texts), len(tags))


def _limit(values: NDArray[np.float64], truth: NDArray[np.bool_], precision: float) -> float:
    """The lowest value from which on enough is true, half-way to the next one below; above all where none is."""
    order = np.argsort(-values, kind="stable")
    ranked, right = values[order], np.cumsum(truth[order]) / np.arange(1, len(order) + 1)
    # equal values stand or fall together
    ends = np.append(ranked[1:] < ranked[:-1], True)
    good = np.flatnonzero((right >= precision) & ends)
    if not len(good):
        return float(ranked[0]) + 1.0
    last = int(good[-1])
    return float(ranked[last] if last + 1 == len(ranked) else (ranked[last] + ranked[last + 1]) / 2)


def _words(text: str) -> list[str]:
    return "".join(one if one.isalnum() else " " for one in text.casefold()).split()
