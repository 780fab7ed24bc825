"""What people decided about pictures and captions: append-only JSON lines, one journal a reviewer.

A line of `<workspace>/decisions/anna.jsonl`:

    {"pixel_id": "9f…", "reviewer": "anna", "at": "2025-01-31T09:30:00+00:00", "verdict": null,
     "caption": "a red kite over dunes", "read": true, "proposed": "a bird on a beach", "note": null,
     "batch": "20250131-093000-000000-1f2e3d", "batch_size": 12}

Decisions are keyed by the canonical pixels, so that they outlive an edit of mere metadata, a new captioner and a new
threshold. Nothing is ever rewritten: a later line supersedes an earlier one, field by field. The decisions of one file
are a *batch*: it counts once all of it is on the disk, over all journals, and until a line says that it is undone:

    {"undo": "20250131-093000-000000-1f2e3d", "reviewer": "anna", "at": "2025-01-31T09:40:00+00:00"}
"""

import fcntl
import json
import os
import re
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from pipeline.errors import ReviewError, WorkspaceError

Verdict = Literal["keep", "drop", "unsure"]

_REVIEWER = re.compile(r"\w[\w.@+ -]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One thing that one person decided about one picture; a field that is None decides nothing.

    `pixel_id` names the canonical pixels. `verdict` keeps the picture whatever the rules say, drops it, or leaves it to
    someone else (`unsure`). `caption` is the caption's body (without prefix, trigger and tags). `proposed` is the body
    the person saw. `read` is False where the caption was accepted unread, as one of the rest. `note` is for people and
    decides nothing. `at` is a time in UTC, ISO 8601. `batch` names those that were given together, `batch_size` in all.
    The picture `apart_from` (a pixel_id) is no duplicate of it.

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
    note: str | None = None
    batch: str | None = None
    batch_size: int | None = None
    apart_from: str | None = None

    def __post_init__(self) -> None:
        if self.verdict is not None and self.verdict not in get_args(Verdict):
            raise ValueError(f"unknown verdict {self.verdict!r}")
        if datetime.fromisoformat(self.at).tzinfo is None:
            raise ValueError(f"a time without an offset: {self.at!r}")

    @property
    def blank(self) -> bool:
        """Whether it says nothing: nothing of the picture alone, and of no look-alike."""
        return self.apart_from is None and not self.of_its_own

    @property
    def of_its_own(self) -> bool:
        """Whether it has a verdict, a note, or a caption that is not white space."""
        return self.verdict is not None or bool((self.caption or "").strip() or (self.note or "").strip())


@dataclass(frozen=True, slots=True)
class Journal:
    """All decisions of all reviewers, in the order of time, and a sentence for each line that could not be read."""

    decisions: tuple[Decision, ...] = ()
    problems: tuple[str, ...] = ()
    undone: frozenset[str] = frozenset()

    def latest(self) -> dict[str, Decision]:
        """What stands for each pixel_id: the latest verdict and the latest caption, whoever gave them.

        A caption that was read outranks one accepted unread, even a later one. `proposed` and `read` belong to the
        caption; `reviewer` and `at` to the decision that changed the outcome last. A caption that was read ends an
        earlier `unsure`.
        """
        return _merge(self.decisions)

    def apart(self) -> frozenset[frozenset[str]]:
        """The pairs of pixel_ids that people want to keep beside each other, though they look alike."""
        return frozenset(frozenset((one.pixel_id, one.apart_from)) for one in self.decisions if one.apart_from)

    def of_each(self) -> dict[str, dict[str, Decision]]:
        """What each reviewer said last: by reviewer, then by pixel_id."""
        own: dict[str, list[Decision]] = {}
        for decision in self.decisions:
            own.setdefault(decision.reviewer, []).append(decision)
        return {reviewer: _merge(some) for reviewer, some in own.items()}

    def batches(self) -> dict[str, list[Decision]]:
        """The decisions that count by batch, in the order of time."""
        found: dict[str, list[Decision]] = {}
        for decision in self.decisions:
            if decision.batch:
                found.setdefault(decision.batch, []).append(decision)
        return found

    def conflicts(self) -> list[str]:
        """The pixel_ids, sorted, on which two reviewers' latest verdicts or latest read captions differ."""
        told: dict[str, dict[str, set[str]]] = {}
        for own in self.of_each().values():
            for pixel_id, decision in own.items():
                said = told.setdefault(pixel_id, {"verdict": set(), "caption": set()})
                if decision.verdict in ("keep", "drop"):
                    said["verdict"].add(decision.verdict)
                if decision.caption and decision.read:
                    said["caption"].add(decision.caption)
        return sorted(pixel_id for pixel_id, said in told.items() if any(len(words) > 1 for words in said.values()))


def now() -> str:
    """The time in UTC as a decision carries it: ISO 8601 with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def new_batch() -> str:
    """A name for decisions that are given together; names sort by time."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}-{secrets.token_hex(3)}"


def together(decisions: Iterable[Decision], batch: str) -> list[Decision]:
    """The decisions as one batch, blank ones left out."""
    said = [decision for decision in decisions if not decision.blank]
    return [replace(decision, batch=batch, batch_size=len(said)) for decision in said]


def append(folder: Path, decisions: Iterable[Decision]) -> int:
    """Add decisions to their reviewers' journals in `folder`; blank ones are left out. Returns how many were added.

    A reviewer's decisions are one write of whole lines, synced to disk. If it fails half-way (a full disk) the journal
    is cut back to what it was; if the process is killed half-way, a torn last line is ignored by `load`, and so is all
    of its batch.

    Raises:
        ReviewError: a reviewer's name cannot be a file's name.
        WorkspaceError: the journal cannot be written.
    """
    lines: dict[str, list[str]] = {}
    for decision in decisions:
        if not decision.blank:
            lines.setdefault(checked(decision.reviewer), []).append(json.dumps(asdict(decision)) + "\n")
    for reviewer, own in lines.items():
        write_lines(folder / f"{reviewer}.jsonl", own)
    return sum(map(len, lines.values()))


def undo(folder: Path, batch: str, *, reviewer: str, at: str) -> None:
    """Write down that a batch counts no more; what others decided since stays.

    Raises:
        ReviewError: the reviewer's name cannot be a file's name.
        WorkspaceError: the journal cannot be written.
    """
    line = json.dumps({"undo": batch, "reviewer": checked(reviewer), "at": at}) + "\n"
    write_lines(folder / f"{reviewer}.jsonl", [line])


def load(folder: Path) -> Journal:
    """Read all journals in `folder`; a folder that is not there holds no decisions.

    Lines that are not a whole decision (torn by a kill), and batches of which some are missing, are left out and told
    in `problems`.
    """
    timed: list[tuple[datetime, str, Decision]] = []
    problems: list[str] = []
    undone: set[str] = set()
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
            if isinstance(decision, str):
                undone.add(decision)
                continue
            # within one journal the order of lines is the truth, even where a clock was set back
            latest = max(latest, datetime.fromisoformat(decision.at))
            timed.append((latest, path.name, decision))
    timed.sort(key=lambda item: item[:2])
    there = Counter(decision.batch for _, _, decision in timed)
    counted = [one for _, _, one in timed if one.batch is None or there[one.batch] == (one.batch_size or 0)]
    problems += [
        f"batch {batch}: cut off while it was written, left out"
        for batch in sorted({one.batch for _, _, one in timed if one.batch} - {one.batch for one in counted})
    ]
    return Journal(tuple(one for one in counted if one.batch not in undone), tuple(problems), frozenset(undone))


def checked(reviewer: str) -> str:
    """A reviewer's name, if it can be a file's.

    Raises:
        ReviewError: it cannot.
    """
    if not _REVIEWER.fullmatch(reviewer):
        raise ReviewError(
            "a reviewer's name names a file",
            field="reviewer",
            value=reviewer,
            remedy="Use up to 64 letters, digits, spaces and . _ @ + -, beginning with a letter or digit.",
        )
    return reviewer


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Add whole lines (ASCII, each with its end) to a file in one write, synced to disk; all of them or none.

    Raises:
        WorkspaceError: they cannot be written; the file is as it was.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, "".join(lines).encode("ascii"))
    except OSError as error:
        raise WorkspaceError(
            f"decisions could not be saved: {error.strerror}",
            field=str(path),
            remedy="Make room or give the folder write permission, then apply again; nothing was changed.",
        ) from error


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


def _parsed(line: bytes) -> Decision | str:
    """A decision, or the name of a batch that is undone."""
    record = json.loads(line)
    if not isinstance(record, Mapping):
        raise TypeError("not an object")
    if isinstance(record.get("undo"), str):
        return str(record["undo"])
    known = {field.name for field in fields(Decision)}
    # a later version may write more; what it adds is not ours to judge
    decision = Decision(**{name: value for name, value in record.items() if name in known})
    told = (decision.caption, decision.proposed, decision.note, decision.batch, decision.apart_from)
    texts = (decision.pixel_id, decision.reviewer, *(text or "" for text in told))
    if not all(isinstance(text, str) for text in texts) or not isinstance(decision.read, bool):
        raise TypeError("a field of the wrong type")
    return decision


def _merge(decisions: Iterable[Decision]) -> dict[str, Decision]:
    merged: dict[str, Decision] = {}
    spoken = (one for one in decisions if one.of_its_own)
    for new in (one if (one.caption or "").strip() else replace(one, caption=None) for one in spoken):
        old = merged.get(new.pixel_id)
        if old is None:
            merged[new.pixel_id] = new
            continue
        takes = bool(new.caption) and (new.read or not old.read or not old.caption)
        words = new if takes else old
        doubt = old.verdict == "unsure" and takes and new.read
        merged[new.pixel_id] = replace(
            new if takes or new.verdict else old,
            verdict=new.verdict or (None if doubt else old.verdict),
            caption=words.caption,
            read=words.read,
            proposed=words.proposed,
            note=new.note or old.note,
        )
    return merged
