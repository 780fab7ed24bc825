"""How far a review has got, and how far reviewers agree."""

from dataclasses import asdict, dataclass
from typing import Any

from flows.reviewing import captioned
from pipeline.review import agreement, conflicts, journal
from pipeline.review.rows import ReviewRow
from pipeline.run import Run


@dataclass(frozen=True)
class Status:
    """How far a review has got."""

    run: Run
    rows: list[ReviewRow]
    by_reviewer: dict[str, int]
    waiting: int
    problems: tuple[str, ...]
    agreements: list[agreement.Agreement]

    def value(self) -> dict[str, Any]:
        """For a script; the keys are listed in docs/scripts.md."""
        return {
            "run": self.run.id,
            "captions": len(self.rows),
            "decided": sum(row.decided for row in self.rows),
            "unread": sum(not row.read for row in self.rows),
            "unsure": sum(row.verdict == "unsure" for row in self.rows),
            "conflicts": self.waiting,
            "reviewers": self.by_reviewer,
            "agreement": [asdict(one) for one in self.agreements],
            "problems": list(self.problems),
        }

    def words(self) -> str:
        """The same for a person."""
        told = self.value()
        first = f"{told['decided']} of {told['captions']} captions are decided ({told['unread']} of them unread)"
        lines = [f"{first}, {told['unsure']} unsure, {told['conflicts']} in conflict"]
        lines += [f"{who}: {count} pictures" for who, count in self.by_reviewer.items()]
        return "\n".join([*lines, *(one.told() for one in self.agreements), *self.problems])


def status(run: Run) -> Status:
    """Count what is decided and by whom, and compare reviewers where several judged the same picture.

    Raises:
        InputError: there is nothing to review.
    """
    folder, rows = run.workspace.decisions, captioned(run)
    said, there = journal.load(folder), {row.pixel_id for row in rows}
    problems = said.problems
    said = journal.Journal(tuple(one for one in said.decisions if one.pixel_id in there))
    waiting = [one for one in conflicts.waiting(folder, said) if one.pixel_id in there]
    both = [one for one in conflicts.load(folder) if one.pixel_id in there]
    by_reviewer = {reviewer: len(own) for reviewer, own in sorted(said.of_each().items())}
    return Status(run, rows, by_reviewer, len(waiting), problems, agreement.agreements(said, both))
