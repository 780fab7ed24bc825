"""What a run made of files whose truth is known, because the trouble with them was planted: recall and precision."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.reporting.record import THROUGH, CaptionRow, LedgerRow, Planted, RunRecord

FLAGGED = "flagged"
"""What became of a file that stayed, but whose caption a check found suspicious."""
CORRECTED = "corrected"
"""What became of a file that stayed, but whose caption people put right."""
DUPLICATE = "duplicate"


@dataclass(frozen=True, slots=True)
class Kind:
    """How many files of one kind there were, for how many the right thing happened, and where all of them ended."""

    name: str
    planted: int
    right: int
    ended: tuple[tuple[str, int], ...]
    """(state, count), the most frequent first."""
    is_trouble: bool
    """Whether such a file ought not to stay as it is."""

    @property
    def recall(self) -> float:
        """Share for which the right thing happened, 0 to 1."""
        return self.right / self.planted


@dataclass(frozen=True, slots=True)
class Reason:
    """Files that left for one reason, or whose caption was flagged, and how many of them rightly."""

    state: str
    reason: str
    files: int
    right: int

    @property
    def precision(self) -> float:
        """Share that left rightly, 0 to 1."""
        return self.right / self.files


@dataclass(frozen=True, slots=True)
class Caught:
    """The ledger held against the truth."""

    kinds: Sequence[Kind]
    reasons: Sequence[Reason]
    missed: Sequence[tuple[Planted, LedgerRow]]
    """Trouble for which the right thing did not happen."""
    lost: Sequence[tuple[Planted, LedgerRow]]
    """Files that ought to have stayed and left."""

    @property
    def recall(self) -> float:
        """Share of the planted trouble that was caught, 0 to 1; 1 where there was none."""
        trouble = [one for one in self.kinds if one.is_trouble]
        planted = sum(one.planted for one in trouble)
        return sum(one.right for one in trouble) / planted if planted else 1.0

    @property
    def precision(self) -> float:
        """Share of the files that left that did so rightly, 0 to 1; 1 where none left. A flagged caption stays."""
        left = [one for one in self.reasons if one.state != FLAGGED]
        files = sum(one.files for one in left)
        return sum(one.right for one in left) / files if files else 1.0


def compare(record: RunRecord) -> Caught | None:
    """Hold the run's ledger against what was planted; None where nothing is known to be planted.

    Of a planted copy and its original one has to stay and the other to leave as its duplicate, whichever is which.
    """
    truths = {one.file: one for one in record.planted}
    rows = {_name(row.origin): row for row in record.ledger if _name(row.origin) in truths}
    if not rows:
        return None
    files = {row.sample_id: name for name, row in rows.items()}
    told = {_name(row.origin): _of_caption(row) for row in record.captions}
    told = {name: state for name, state in told.items() if state and name in rows}
    gave_way = {name: files.get(row.kept_instead, "") for name, row in rows.items() if row.state == DUPLICATE}
    right: dict[str, bool] = {}
    ended: dict[str, str] = {}
    reasons: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for name, row in rows.items():
        truth, kept = truths[name], gave_way.get(name, "")
        for_its_copy = bool(kept) and truths[kept].of == name
        state = told.get(name, row.state)
        state = row.state if state == CORRECTED and FLAGGED not in truth.states else state
        original_left = truth.of is not None and gave_way.get(truth.of) == name
        right[name] = (
            bool({state, row.state} & set(truth.states)) or for_its_copy or original_left or state == CORRECTED
        )
        ended[name] = state
        if state not in (*THROUGH, CORRECTED):
            reasons[state, row.reason].append(state in truth.states or for_its_copy)
    return Caught(
        kinds=_kinds(record.planted, right, ended),
        reasons=sorted(
            (Reason(state, reason, len(each), sum(each)) for (state, reason), each in reasons.items()),
            key=lambda one: -one.files,
        ),
        missed=[(truths[name], row) for name, row in rows.items() if not right[name] and _is_trouble(truths[name])],
        lost=[(truths[name], row) for name, row in rows.items() if not right[name] and not _is_trouble(truths[name])],
    )


def _of_caption(row: CaptionRow) -> str:
    """What became of a caption, where that says more than the ledger; else ""."""
    if row.reviewed is None:
        return FLAGGED if row.flags else ""
    return "" if row.reviewed == row.machine else CORRECTED


def _kinds(planted: Sequence[Planted], right: dict[str, bool], ended: dict[str, str]) -> list[Kind]:
    by_kind: dict[str, list[Planted]] = defaultdict(list)
    for one in planted:
        if one.file in ended:
            by_kind[one.kind].append(one)
    return [
        Kind(
            name=name,
            planted=len(each),
            right=sum(right[one.file] for one in each),
            ended=tuple(Counter(ended[one.file] for one in each).most_common()),
            is_trouble=_is_trouble(each[0]),
        )
        for name, each in by_kind.items()
    ]


def _is_trouble(truth: Planted) -> bool:
    return not set(truth.states) & set(THROUGH)


def _name(origin: str) -> str:
    return origin.rstrip("/").rsplit("/", 1)[-1]
