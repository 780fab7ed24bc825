"""How the page shows a caption on its way to the training set: which first, what changed, how much of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

MOST_MISFITS = 24
"""Captions that the page shows as fitting worst."""
WORST = 0.1
"""The share of captions among which those are."""
MOST_CHARACTERS = 600
"""Characters shown of one caption; the rest is counted."""


@dataclass(frozen=True, slots=True)
class CaptionRow:
    """One caption on its way from the machine to the training set."""

    sample_id: str
    origin: str
    machine: str
    """The captioner's body, before anybody read it."""
    reviewed: str | None
    """The body that a person wrote or accepted; None where nobody has."""
    final: str
    """The composed caption that training reads."""
    provenance: str
    """Who stands for the text, such as `blip`, `sidecar` or `person:ann`."""
    flags: tuple[str, ...] = ()
    """What the checks found suspicious, such as `repeats` or `too_short`."""
    split: str = "train"
    """train or held_out."""
    read: int | None = None
    """Characters of `final` that the text encoder reads; None where that was not measured."""
    fit: float | None = None
    """How well the machine's caption tells of the picture: 100 x cosine of CLIP, where it was measured."""


def rank(row: CaptionRow) -> tuple[bool, bool, bool, str]:
    """Flagged captions first, then those that a person changed, then those that nobody has read."""
    changed = row.reviewed is not None and row.reviewed != row.machine
    return not row.flags and not cut(row), not changed, row.reviewed is not None, row.origin


def cut(row: CaptionRow) -> bool:
    """Whether the text encoder does not read the caption to its end."""
    return row.read is not None and row.read < len(row.final)


def misfits(rows: Sequence[CaptionRow]) -> tuple[list[CaptionRow], int]:
    """The worst tenth of the captions whose fit was measured, worst first, at most `MOST_MISFITS`; how many were."""
    ranked = sorted((row for row in rows if row.fit is not None), key=lambda row: (row.fit or 0.0, row.origin))
    return ranked[: min(MOST_MISFITS, max(1, round(WORST * len(ranked))))], len(ranked)


def changes(row: CaptionRow) -> list[tuple[str, str]]:
    """What a person changed in the machine's words: (`same`, `gone` or `new`, text) pieces; one piece if unread."""
    if row.reviewed is None or row.machine == row.reviewed:
        return [("same", clip(row.machine))]
    before, after = clip(row.machine).split(" "), clip(row.reviewed).split(" ")
    pieces: list[tuple[str, str]] = []
    for kind, start, end, to_start, to_end in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            pieces.append(("same", " ".join(before[start:end])))
            continue
        pieces += [("gone", " ".join(before[start:end]))] if end > start else []
        pieces += [("new", " ".join(after[to_start:to_end]))] if to_end > to_start else []
    return pieces


def clip(text: str) -> str:
    """The text, or its start and how many characters there are in all."""
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}… ({len(text):,} characters)"
