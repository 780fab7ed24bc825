"""What people decided about pictures and captions: append-only JSON lines, one journal a reviewer.

A line of `<workspace>/decisions/anna.jsonl`:

    {"pixel_id": "9f…", "reviewer": "anna", "at": "2025-01-31T09:30:00+00:00", "verdict": null,
     "caption": "a red kite over dunes", "read": true, "proposed": "a bird on a beach"}

Decisions are keyed by the canonical pixels, so that they outlive an edit of mere metadata, a new captioner and a new
threshold. Nothing is ever rewritten: a later line supersedes an earlier one, field by field.
"""

import fcntl
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from pipeline.errors import ReviewError, WorkspaceError

Verdict = Literal["keep", "drop"]

_REVIEWER = re.compile(r"\w[\w.@+ -]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One thing that one person decided about one picture; a field that is None decides nothing.

    `pixel_id` names the canonical pixels. `verdict` keeps the picture whatever the rules say, or drops it. `caption` is
    the caption's body (without prefix, trigger and tags). `proposed` is the body the person saw. `read` is False where
    the caption was accepted unread, as one of the rest. `at` is a time in UTC, ISO 8601.

    Raises:
        ValueError: `verdict` is an unknown word, or `at` is not a time with an offset.
    """

    pixel_id: str
    reviewer: str
    at: str
    verdict: Verdict | None = None
    caption: str | None = None
    read: bool = True
    proposed: str | None = None

    def __post_init__(self) -> None:
        if self.verdict is not None and self.verdict not in get_args(Verdict):
            raise ValueError(f"unknown verdict {self.verdict!r}")
        if datetime.fromisoformat(self.at).tzinfo is None:
            raise ValueError(f"a time without an offset: {self.at!r}")

    @property
    def blank(self) -> bool:
        """Whether it decides nothing: no verdict, and no caption but white space."""
        return self.verdict is None and not (self.caption or "").strip()


@dataclass(frozen=True, slots=True)
class Journal:
    """All decisions of all reviewers, in the order of time, and a sentence for each line that could not be read."""

    decisions: tuple[Decision, ...] = ()
    problems: tuple[str, ...] = ()

    def latest(self) -> dict[str, Decision]:
        """What stands for each pixel_id: the latest verdict and the latest caption, whoever gave them.

        A caption that was read outranks one accepted unread, even a later one. `proposed` and `read` belong to the
        caption; `reviewer` and `at` to the decision that changed the outcome last.
        """
        return _merge(self.decisions)

    def conflicts(self) -> list[str]:
        """The pixel_ids, sorted, on which two reviewers' latest verdicts or latest read captions differ."""
        told: dict[str, dict[str, set[str]]] = {}
        for reviewer in {decision.reviewer for decision in self.decisions}:
            for pixel_id, decision in _merge(d for d in self.decisions if d.reviewer == reviewer).items():
                said = told.setdefault(pixel_id, {"verdict": set(), "caption": set()})
                if decision.verdict:
                    said["verdict"].add(decision.verdict)
                if decision.caption and decision.read:
                    said["caption"].add(decision.caption)
        return sorted(pixel_id for pixel_id, said in told.items() if any(len(words) > 1 for words in said.values()))


def now() -> str:
    """The time in UTC as a decision carries it: ISO 8601 with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def append(folder: Path, decisions: Iterable[Decision]) -> int:
    """Add decisions to their reviewers' journals in `folder`; blank ones are left out. Returns how many were added.

    A reviewer's decisions are one write of whole lines, synced to disk. If it fails half-way (a full disk) the journal
    is cut back to what it was; if the process is killed half-way, a torn last line is ignored by `load`.

    Raises:
        ReviewError: a reviewer's name cannot be a file's name.
        WorkspaceError: the journal cannot be written.
    """
    lines: dict[str, list[str]] = {}
    for decision in decisions:
        if not decision.blank:
            lines.setdefault(_checked(decision.reviewer), []).append(json.dumps(asdict(decision)) + "\n")
    for reviewer, own in lines.items():
        path = folder / f"{reviewer}.jsonl"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _write(path, "".join(own).encode("ascii"))
        except OSError as error:
            raise WorkspaceError(
                f"decisions could not be saved: {error.strerror}",
                field=str(path),
                remedy="Make room or give the folder write permission, then apply again; nothing was changed.",
            ) from error
    return sum(map(len, lines.values()))


def load(folder: Path) -> Journal:
    """Read all journals in `folder`; a folder that is not there holds no decisions.

    Lines that are not a whole decision (torn by a kill) are left out and told in `problems`.
    """
    timed: list[tuple[datetime, str, Decision]] = []
    problems: list[str] = []
    for path in sorted(folder.glob("*.jsonl")):
        latest = datetime.min.replace(tzinfo=UTC)
        for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
            if not line.strip():
                continue
            try:
                decision = _parsed(line)
            except (ValueError, TypeError):
                problems.append(f"{path.name}, line {number}: not a whole decision, left out: {line[:60]!r}")
                continue
            # within one journal the order of lines is the truth, even where a clock was set back
            latest = max(latest, datetime.fromisoformat(decision.at))
            timed.append((latest, path.name, decision))
    timed.sort(key=lambda item: item[:2])
    return Journal(tuple(decision for _, _, decision in timed), tuple(problems))


def _checked(reviewer: str) -> str:
    if not _REVIEWER.fullmatch(reviewer):
        raise ReviewError(
            "a reviewer's name names a file",
            field="reviewer",
            value=reviewer,
            remedy="Use up to 64 letters, digits, spaces and . _ @ + -, beginning with a letter or digit.",
        )
    return reviewer


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        size = os.fstat(descriptor).st_size
        # a line torn by a kill must not swallow the first of ours
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            data = b"\n" + data
        try:
            if os.write(descriptor, data) < len(data):
                raise OSError(0, "the disk is full")
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)


def _parsed(line: bytes) -> Decision:
    record = json.loads(line)
    if not isinstance(record, Mapping):
        raise TypeError("not an object")
    known = {field.name for field in fields(Decision)}
    # a later version may write more; what it adds is not ours to judge
    decision = Decision(**{name: value for name, value in record.items() if name in known})
    texts = (decision.pixel_id, decision.reviewer, decision.caption or "", decision.proposed or "")
    if not all(isinstance(text, str) for text in texts) or not isinstance(decision.read, bool):
        raise TypeError("a field of the wrong type")
    return decision


def _merge(decisions: Iterable[Decision]) -> dict[str, Decision]:
    merged: dict[str, Decision] = {}
    for new in _spoken(decisions):
        old = merged.get(new.pixel_id)
        if old is None:
            merged[new.pixel_id] = new
            continue
        takes = bool(new.caption) and (new.read or not old.read or not old.caption)
        if takes or new.verdict:
            words = new if takes else old
            merged[new.pixel_id] = replace(
                new,
                verdict=new.verdict or old.verdict,
                caption=words.caption,
                read=words.read,
                proposed=words.proposed,
            )
    return merged


def _spoken(decisions: Iterable[Decision]) -> Iterator[Decision]:
    for decision in decisions:
        if not decision.blank:
            yield decision if (decision.caption or "").strip() else replace(decision, caption=None)
