"""`gesso review keep-both`: look-alikes that a person wants beside each other, remembered by their pixels."""

import getpass
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from flows.life import life
from flows.reviewing import writing
from pipeline.errors import InputError
from pipeline.review import journal
from pipeline.run import Run


@dataclass(frozen=True)
class Apart:
    """Pictures that are no duplicates of each other any more."""

    run: Run
    batch: str
    pictures: tuple[str, ...]
    pairs: int

    def value(self) -> dict[str, Any]:
        """For a script: `run`, `batch`, the `pictures` (sample ids) and the number of `pairs`."""
        return {"run": self.run.id, "batch": self.batch, "pictures": list(self.pictures), "pairs": self.pairs}

    def words(self) -> str:
        """What holds from the next run on, and how to take it back."""
        root = self.run.workspace.root
        return (
            f"{len(self.pictures)} pictures are kept beside each other from the next run on; to take it back: "
            f"gesso review undo {root} --batch {self.batch}"
        )


def keep_both(run: Run, pictures: Sequence[str], *, reviewer: str | None = None) -> Apart:
    """Write down that pictures (two or more, by path or id) are no duplicates of each other.

    Raises:
        InputError: the run does not know one, one could not be read, or they are fewer than two different ones.
        ReviewError: the reviewer's name cannot be a file's name.
    """
    found = {name: life(run, name)["measured"] for name in pictures}
    for name, measured in found.items():
        if not measured.get("pixel_id"):
            raise InputError("this file is no picture", field="PICTURE", value=name, remedy="Name one that was read.")
    pixels = {measured["pixel_id"]: measured["sample_id"] for measured in found.values()}
    if len(pixels) < 2:
        raise InputError(
            "these are the same pixels",
            field="PICTURE",
            value=", ".join(pictures),
            remedy="Name two that differ; of equal pixels only one can be kept.",
        )
    who, at, batch = journal.checked(reviewer or getpass.getuser()), journal.now(), journal.new_batch()
    said = [
        journal.Decision(pixel_id=one, apart_from=other, reviewer=who, at=at)
        for one, other in combinations(sorted(pixels), 2)
    ]
    with writing(run, doing="gesso review keep-both"):
        count = journal.append(run.workspace.decisions, journal.together(said, batch))
    return Apart(run, batch, tuple(pixels.values()), count)
