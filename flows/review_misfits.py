"""Captions that tell least of their pictures, worst first."""

from dataclasses import dataclass
from typing import Any

from flows.reviewing import captioned, measure_fit
from pipeline.review.rows import ReviewRow
from pipeline.run import Run


@dataclass(frozen=True)
class Misfits:
    """The worst of the captions whose fit was measured."""

    run: Run
    worst: list[ReviewRow]
    measured: int

    def value(self) -> dict[str, Any]:
        """For a script: `run`, `measured` (how many) and `captions`: origin, sample_id, fit and caption of each."""
        rows = [
            {"origin": row.origin, "sample_id": row.sample_id, "fit": row.fit, "caption": row.proposed}
            for row in self.worst
        ]
        return {"run": self.run.id, "measured": self.measured, "captions": rows}

    def words(self) -> str:
        """A line for each: 100 x cosine, the file, the caption."""
        lines = [f"{row.fit:5.1f}  {row.origin}  {row.proposed}" for row in self.worst]
        return "\n".join([f"{len(self.worst)} of {self.measured} captions, those that fit worst first:", *lines])


def misfits(run: Run, *, limit: int) -> Misfits:
    """Measure how well captions as proposed tell of their pictures, where that was not done, and find the worst.

    Raises:
        InputError: there is nothing to review.
        ModelError: the recipe's CLIP is not there and cannot be had.
    """
    measure_fit(run)
    rows = [row for row in captioned(run) if row.fit is not None]
    return Misfits(run, sorted(rows, key=lambda row: (row.fit, row.origin))[:limit], len(rows))
