"""Which pictures a reviewer is shown, in which order, and who is asked."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pipeline.review.gate import share
from pipeline.review.rows import ReviewRow

WORST = 0.2
"""The share of pictures, by how badly their caption fits, that are looked at before any other."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which pictures: with one of these flags, undecided ones, with a text in caption or file name; at most `limit`.

    `sample_ids` are the only ones, where it is given.
    """

    flags: tuple[str, ...] = ()
    undecided: bool = False
    search: str = ""
    limit: int | None = None
    sample_ids: Collection[str] | None = None

    def of(self, rows: Sequence[ReviewRow]) -> list[ReviewRow]:
        """Those of the rows that are wanted, in their order."""
        wanted = self.search.casefold()
        found = [
            row
            for row in rows
            if (not self.flags or set(self.flags) & set(row.flags))
            and not (self.undecided and row.decided)
            and (self.sample_ids is None or row.sample_id in self.sample_ids)
            and (not wanted or wanted in f"{row.caption}\n{row.origin}".casefold())
        ]
        return found[: self.limit]


def ordered(rows: Sequence[ReviewRow]) -> list[ReviewRow]:
    """In the order in which looking pays most: undecided ones first, and of these the worst, then a sample.

    The worst are those that are flagged and the fifth whose captions fit worst, by fit where it was measured and by the
    number of flags; all others follow in a drawn order that stays the same, so that whoever stops early has seen a fair
    sample of them.
    """
    fits = sorted(row.fit for row in rows if row.fit is not None)
    limit = fits[int((len(fits) - 1) * WORST)] if fits else None

    def place(row: ReviewRow) -> tuple[bool, bool, float, int, float]:
        worst = bool(row.flags) or (row.fit is not None and limit is not None and row.fit <= limit)
        fit = -1.0 if row.fit is None else row.fit
        return (row.decided, not worst, fit if worst else 0.0, -len(row.flags) if worst else 0, share(row.pixel_id))

    return sorted(rows, key=place)


def assigned(rows: Sequence[ReviewRow], reviewers: Sequence[str], *, overlap: float) -> dict[str, list[ReviewRow]]:
    """A batch for each reviewer; a share `overlap` (0 to 1) of the pictures is in everyone's.

    Drawn by hash: who is asked about a picture stays the same, whichever others are there.
    """
    batches: dict[str, list[ReviewRow]] = {reviewer: [] for reviewer in reviewers}
    for row in rows:
        if share(f"{row.pixel_id} overlap") < overlap:
            asked = list(batches)
        else:
            asked = [reviewers[int(share(f"{row.pixel_id} reviewer") * len(reviewers))]]
        for reviewer in asked:
            batches[reviewer].append(row)
    return batches
