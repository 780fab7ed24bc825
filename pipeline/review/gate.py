"""How much a person has to decide before a run goes on: the recipe's `review` rule."""

import hashlib
from collections.abc import Iterable
from typing import Literal, Protocol

from pipeline.review.rows import ReviewRow

Require = Literal["none", "flagged", "all"] | float


class Rule(Protocol):
    """The recipe's `review` rule.

    `require` says whose caption or picture a person must have decided: of none, of flagged or all pictures, or of a
    fraction (0 to 1) of them. `undecided` says what becomes of a run where some are missing: it waits, or it goes on
    without those pictures.
    """

    @property
    def require(self) -> Require: ...  # noqa: D102 - told above

    @property
    def undecided(self) -> Literal["wait", "exclude"]: ...  # noqa: D102 - told above


def undecided(rows: Iterable[ReviewRow], rule: Rule) -> list[str]:
    """The sample_ids, in the order of rows, that still need a person under `rule.require`.

    A fraction is a sticky choice by hash: the same pictures whichever others are there, and a larger fraction only
    adds some. Of few pictures it may therefore choose none.

    Raises:
        ValueError: `rule.require` is none of its words and no fraction from 0 to 1.
    """
    require = rule.require
    if not (require in ("none", "flagged", "all") or (not isinstance(require, str) and 0 <= require <= 1)):
        raise ValueError(f"review.require must be none, flagged, all or a fraction from 0 to 1, not {require!r}")
    return [row.sample_id for row in rows if not row.decided and _asked(row, require)]


def _asked(row: ReviewRow, require: Require) -> bool:
    if isinstance(require, str):
        return require == "all" or (require == "flagged" and bool(row.flags))
    return share(row.pixel_id) < require


def share(pixel_id: str) -> float:
    """A fixed pseudo-random number in [0, 1) for a picture, independent of its other hashes (the held-out split's)."""
    digest = hashlib.sha256(b"gesso review " + pixel_id.encode()).digest()
    # 53 bits are what a double holds, so that the quotient stays below 1
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53
