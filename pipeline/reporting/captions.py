"""How the page shows a caption on its way to the training set: which first, what changed, how much of it."""

from difflib import SequenceMatcher

from pipeline.reporting.record import CaptionRow

MOST_CHARACTERS = 600
"""Characters shown of one caption; the rest is counted."""


def rank(row: CaptionRow) -> tuple[bool, bool, bool, str]:
    """Flagged captions first, then those that a person changed, then those that nobody has read."""
    changed = row.reviewed is not None and row.reviewed != row.machine
    return not row.flags, not changed, row.reviewed is not None, row.origin


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
