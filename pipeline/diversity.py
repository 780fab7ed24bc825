"""How varied a set of pictures is, and which of them do not belong: numbers, and advice in words.

Embeddings are unit vectors, one row a picture (N x D), such as CLIP's. Nothing here looks at pictures or decides.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.manifest import Row

Vectors = NDArray[np.float32]

MOST_COMPARED = 4096
"""Pictures that are compared with one another; of larger sets evenly spread ones are."""
COMMON = 0.8
"""Share of pictures that are alike in something from which advice is given."""
FEWEST = 5
"""Pictures below which no advice is given."""
_WORDS = re.compile(r"[^\W\d_]{3,}")
_COMMON_WORDS = frozenset(
    (
        "and",
        "are",
        "for",
        "from",
        "has",
        "its",
        "near",
        "not",
        "one",
        "other",
        "some",
        "that",
        "the",
        "this",
        "two",
        "with",
    )
)


@dataclass(frozen=True)
class Cluster:
    """Pictures that are like one of them: places in the set, that one first, then the nearest ones."""

    members: tuple[int, ...]


@dataclass(frozen=True)
class Coverage:
    """How pictures are spread over what one property can be."""

    name: str
    counts: dict[str, int]
    """Pictures by label, the most frequent first; labels that no picture has are there with 0."""
    effective: float
    """Effective number of labels: the exponential of the entropy, 1 to the number of labels."""


def effective_number(vectors: Vectors) -> float:
    """The Vendi score with the cosine kernel: how many wholly different pictures would be as varied; 1 to N, 0 of none.

    exp(-sum(l log l)) over the eigenvalues l of K / N, K the pictures' cosines (Friedman and Dieng, "The Vendi
    Score", TMLR 2023, definition 3.1). Pictures by CLIP are never wholly different, so it stays far below N: compare
    sets by it.
    """
    if not len(vectors):
        return 0.0
    rows = vectors.astype(np.float64)
    # X X' and X' X have the same eigenvalues but for zeros
    products = rows @ rows.T if len(rows) <= rows.shape[1] else rows.T @ rows
    values = np.linalg.eigvalsh(products / len(rows))
    values = values[values > 1e-12]
    return float(np.exp(-(values * np.log(values)).sum()))


def compared(count: int) -> NDArray[np.int64]:
    """Places of the pictures that are compared with one another."""
    return np.unique(np.linspace(0, count - 1, min(count, MOST_COMPARED)).round().astype(np.int64))


def clusters(vectors: Vectors, *, similarity: float) -> list[Cluster]:
    """Groups about one picture each, the largest first: the picture with the most others at this cosine or above.

    Those leave, and the next one is looked for among the rest. Every picture is in one group; no group chains.
    """
    alike = vectors @ vectors.T
    near = alike >= similarity
    np.fill_diagonal(near, val=True)
    left, found = np.ones(len(vectors), bool), []
    while left.any():
        counts = np.where(left, near[:, left].sum(axis=1), -1)
        middle = int(counts.argmax())
        members = np.flatnonzero(near[middle] & left)
        order = sorted(members.tolist(), key=lambda one: (one != middle, -alike[middle, one], one))
        found.append(Cluster(tuple(order)))
        left[members] = False
    return sorted(found, key=lambda one: -len(one.members))


def odd_ones(vectors: Vectors, *, deviations: float = 3.5) -> list[tuple[int, float]]:
    """Pictures that are unlike the rest, with how far off each is in robust standard deviations, the farthest first.

    By each picture's mean cosine to the others, and the modified z-score of Iglewicz and Hoaglin (1993), whose limit
    is 3.5. None of sets of fewer than five.
    """
    if len(vectors) < FEWEST:
        return []
    likeness = (vectors @ vectors.sum(axis=0) - 1) / (len(vectors) - 1)
    middle = np.median(likeness)
    spread = max(1.4826 * float(np.median(np.abs(likeness - middle))), 1e-3)
    off = (middle - likeness) / spread
    return sorted(((int(one), float(off[one])) for one in np.flatnonzero(off > deviations)), key=lambda one: -one[1])


def _lighting(row: Row) -> str:
    middle = row["exposure__p5"] + row["exposure__contrast"] / 2
    return "dark" if middle < 0.3 else "bright" if middle > 0.7 else "of middle brightness"


def _contrast(row: Row) -> str:
    return "soft" if row["exposure__contrast"] < 0.35 else "hard" if row["exposure__contrast"] > 0.75 else "ordinary"


def _color(row: Row) -> str:
    color = row["grayscale__color"]
    return "almost colourless" if color < 3 else "colourful" if color >= 12 else "muted"


def _aspect(row: Row) -> str:
    ratio = row["canonical__width"] / row["canonical__height"]
    return "upright" if ratio < 0.9 else "oblong" if ratio > 1.11 else "square"


def _resolution(row: Row) -> str:
    side = row["resolution__short_side"]
    return "below 512 px" if side < 512 else "512 to 1023 px" if side < 1024 else "1024 px and more"


def _composition(row: Row) -> str:
    """Where a picture is lightest, by the mean colours of its quarters."""
    packed = int(row["perceptual__colors"])
    light = [sum(packed >> 5 * (3 * quarter + channel) & 31 for channel in range(3)) for quarter in range(4)]
    across, down = light[1] + light[3] - light[0] - light[2], light[2] + light[3] - light[0] - light[1]
    if max(abs(across), abs(down)) < 24:
        return "evenly lit"
    if abs(down) >= abs(across):
        return "lighter above" if down < 0 else "lighter below"
    return "lighter to the left" if across < 0 else "lighter to the right"


PROPERTIES: dict[str, tuple[Callable[[Row], str], tuple[str, ...]]] = {
    "lighting": (_lighting, ("dark", "of middle brightness", "bright")),
    "contrast": (_contrast, ("soft", "ordinary", "hard")),
    "colour": (_color, ("almost colourless", "muted", "colourful")),
    "composition": (
        _composition,
        ("evenly lit", "lighter above", "lighter below", "lighter to the left", "lighter to the right"),
    ),
    "resolution": (_resolution, ("below 512 px", "512 to 1023 px", "1024 px and more")),
    "aspect": (_aspect, ("upright", "square", "oblong")),
}
"""What is told of each picture from its measured columns: how, and all that it can be."""
READS = (
    "exposure__p5",
    "exposure__contrast",
    "grayscale__color",
    "canonical__width",
    "canonical__height",
    "resolution__short_side",
    "perceptual__colors",
)
"""Columns of samples that `coverage` reads."""


def coverage(rows: Sequence[Row]) -> list[Coverage]:
    """How pictures (rows with the columns `READS`) are spread over each of `PROPERTIES`."""
    found = []
    for name, (told, labels) in PROPERTIES.items():
        counted = Counter(told(row) for row in rows)
        counts = {label: counted[label] for label in sorted(labels, key=lambda one: (-counted[one], labels.index(one)))}
        shares = np.array([one for one in counts.values() if one], np.float64) / max(1, len(rows))
        found.append(Coverage(name, counts, float(np.exp(-(shares * np.log(shares)).sum())) if len(rows) else 0.0))
    return found


def terms(captions: Sequence[str], *, most: int = 20) -> list[tuple[str, int]]:
    """Words of captions and in how many each stands, the most frequent first; short and common ones are left out."""
    counted = Counter(word for text in captions for word in set(_WORDS.findall(text.lower())) - _COMMON_WORDS)
    return sorted(counted.items(), key=lambda one: (-one[1], one[0]))[:most]


def advice(
    count: int, found: Sequence[Cluster], spread: Sequence[Coverage], odd: int, words: Sequence[tuple[str, int]] = ()
) -> list[str]:
    """What is one-sided in a set of so many pictures, a sentence each, the most one-sided first; none of few pictures.

    `found` are clusters of those compared, `odd` is how many are unlike the rest.
    """
    if count < FEWEST:
        return []
    told: list[tuple[float, str]] = []
    looked = sum(len(one.members) for one in found)
    if found and len(found[0].members) >= max(3, 0.5 * looked):
        size = len(found[0].members)
        told.append((size / looked, f"{size} of {looked} pictures share one viewpoint: add some from elsewhere."))
    for one in spread:
        label, size = next(iter(one.counts.items()))
        if size >= COMMON * count:
            others = " or ".join(other for other in one.counts if other != label)
            told.append(
                (size / count, f"{size} of {count} pictures are {label} ({one.name}): add some that are {others}.")
            )
    for word, size in words[:1]:
        if size >= COMMON * count:
            told.append(
                (size / count, f"“{word}” is in {size} of {count} captions: it will be learned as one with the rest.")
            )
    if odd:
        told.append((odd / count, f"{odd} of {count} pictures are unlike the rest: see whether they belong."))
    return [text for _, text in sorted(told, key=lambda one: -one[0])]
