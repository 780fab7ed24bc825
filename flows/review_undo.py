"""`gesso review undo`: an applied file is taken back; nothing is erased."""

import getpass
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.reviewing import KEPT, writing
from pipeline.errors import ReviewError
from pipeline.review import journal
from pipeline.run import Run


@dataclass(frozen=True)
class Undone:
    """A batch of decisions that counts no more."""

    batch: str
    decisions: int
    kept: Path | None

    def value(self) -> dict[str, Any]:
        """For a script: `batch`, `decisions` and the `file` that was applied."""
        return {"batch": self.batch, "decisions": self.decisions, "file": str(self.kept) if self.kept else None}

    def words(self) -> str:
        """What was taken back, and where the file is."""
        told = f"{self.decisions} decisions of {self.batch} were taken back"
        return f"{told}; the file is kept: {self.kept}" if self.kept else told


def undo(run: Run, *, batch: str | None = None, reviewer: str | None = None) -> Undone:
    """Take back the decisions of the file that was applied last, or of `batch`; what was decided since stays.

    Raises:
        ReviewError: there is no such batch.
    """
    with writing(run, doing="gesso review undo"):
        return _undo(run, batch=batch, reviewer=reviewer)


def _undo(run: Run, *, batch: str | None, reviewer: str | None) -> Undone:
    folder = run.workspace.decisions
    batches = journal.load(folder).batches()
    files = {path.stem: path for path in (folder / KEPT).glob("*")}
    name = batch or next((one for one in reversed(batches) if one in files), None)
    if name is None or name not in batches:
        raise ReviewError(
            "there is no such batch of decisions" if batch else "no file was applied that is not undone",
            field="--batch",
            value=batch,
            remedy=f"There are: {', '.join(one for one in batches if one in files) or 'none'}.",
        )
    journal.undo(folder, name, reviewer=reviewer or getpass.getuser(), at=journal.now())
    return Undone(name, len(batches[name]), files.get(name))
