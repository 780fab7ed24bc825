"""What is done to a composed caption: words that none may have, and the order of its parts."""

import random
import re
from collections.abc import Collection

COMMA = re.compile(r",(?!\d)\s*")
"""What parts a caption, and no number."""


def without(text: str, unwanted: Collection[str]) -> str:
    """The text without the words or phrases in `unwanted` (whole ones, whatever their case), and without their gaps.

    A part between commas that comes out empty goes with its comma.
    """
    if not unwanted:
        return text
    longest_first = sorted(unwanted, key=len, reverse=True)
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)", re.IGNORECASE)
    parts = [" ".join(pattern.sub(" ", part).split()) for part in COMMA.split(text)]
    return ", ".join(part for part in parts if part)


def shuffled(text: str, *, keep: int, seed: str) -> str:
    """The parts between commas in a drawn order, the same for the same seed; the first `keep` stay where they are."""
    parts = [part.strip() for part in COMMA.split(text)]
    rest = parts[keep:]
    random.Random(seed).shuffle(rest)  # noqa: S311 (no secret hangs on it)
    return ", ".join([*parts[:keep], *rest])
