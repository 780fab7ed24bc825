"""Decisions that were overtaken: kept beside the journals until a person has chosen, so that neither is lost.

A line of `<workspace>/decisions/conflicts/bo.jsonl` says what Bo saw, what he made of it, and what stood by then. It
waits until somebody decides about that picture again.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from pipeline.review import journal
from pipeline.review.apply import Change
from pipeline.review.journal import Journal, Verdict
from pipeline.review.rows import ReviewRow

FOLDER = "conflicts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Two decisions about one picture, made of the same version without knowing of each other.

    Of captions, `seen` is what both began with, `mine` what `reviewer` wanted and `theirs` what stood when that came
    in; `mine` is None where only the verdicts differ, and `mine_verdict` where only the captions do.
    """

    pixel_id: str
    reviewer: str
    at: str
    seen: str
    mine: str | None
    theirs: str
    mine_verdict: Verdict | None = None
    theirs_verdict: Verdict | None = None


def of(change: Change) -> Conflict:
    """A change that was overtaken, as a conflict."""
    return Conflict(
        pixel_id=change.row.pixel_id,
        reviewer=change.decision.reviewer,
        at=change.decision.at,
        seen=change.seen,
        mine=change.decision.caption,
        theirs=change.row.caption,
        mine_verdict=change.decision.verdict,
        theirs_verdict=change.row.verdict,
    )


def shown(row: ReviewRow, conflicts: Sequence[Conflict]) -> ReviewRow:
    """A picture's row with what each wanted among its candidates, and the conflict among its flags."""
    told = []
    for one in conflicts:
        told += [f"{one.reviewer} wrote {one.mine!r}, here stood {one.theirs!r}"] if one.mine is not None else []
        if one.mine_verdict:
            told.append(f"{one.reviewer} said {one.mine_verdict}, here stood {one.theirs_verdict}")
    texts = [text for one in conflicts for text in (one.mine, one.theirs, one.seen) if text]
    return replace(row, candidates=tuple(dict.fromkeys(texts)), flags=(*row.flags, *told))


def append(folder: Path, conflicts: Iterable[Conflict]) -> None:
    """Write them down beside the journals in `folder`, those that are there already but once.

    Raises:
        ReviewError: a reviewer's name cannot be a file's name.
        WorkspaceError: they cannot be written.
    """
    there = {_key(one) for one in load(folder)}
    lines: dict[str, list[str]] = {}
    for one in conflicts:
        if _key(one) not in there:
            lines.setdefault(journal.checked(one.reviewer), []).append(json.dumps(asdict(one)) + "\n")
    for reviewer, own in lines.items():
        journal.write_lines(folder / FOLDER / f"{reviewer}.jsonl", own)


def load(folder: Path) -> list[Conflict]:
    """All that were ever written down, in the order of time; a torn line is left out."""
    found = []
    for path in sorted((folder / FOLDER).glob("*.jsonl")):
        for line in path.read_bytes().split(b"\n"):
            try:
                found.append(Conflict(**json.loads(line)))
            except (ValueError, TypeError):
                continue
    return sorted(found, key=lambda one: datetime.fromisoformat(one.at))


def waiting(folder: Path, said: Journal) -> list[Conflict]:
    """Those on which nobody has decided since: a caption, where captions differ, and a verdict, where verdicts do."""
    captions, verdicts = {}, {}
    for one in said.decisions:
        if one.caption and one.read:
            captions[one.pixel_id] = datetime.fromisoformat(one.at)
        if one.verdict:
            verdicts[one.pixel_id] = datetime.fromisoformat(one.at)

    def waits(one: Conflict) -> bool:
        at = datetime.fromisoformat(one.at)
        open_caption = one.mine is not None and captions.get(one.pixel_id, at) <= at
        return open_caption or (one.mine_verdict is not None and verdicts.get(one.pixel_id, at) <= at)

    return [one for one in load(folder) if waits(one)]


def _key(conflict: Conflict) -> tuple[object, ...]:
    told = asdict(conflict)
    return tuple(told[name] for name in told if name != "at")
