"""The desk at which people review together: what stands now, and one way to change it, for several readers at once.

All of it lies in the journals. The desk keeps the rows in memory, sees by the files' sizes when someone else wrote (a
second server, `gesso review apply`), and writes what is decided to the disk before it says so. Each write names the
version that its reader saw: one that was overtaken becomes a conflict, and nothing is put over anything.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import RLock

from pipeline.errors import InputError
from pipeline.review import conflicts, drafts, journal
from pipeline.review.apply import Applying, changes
from pipeline.review.conflicts import Conflict
from pipeline.review.journal import Decision, Journal
from pipeline.review.rows import Proposal, ReviewRow, likeness, review_row
from pipeline.review.table import EditedRow, Word

BATCH = "page-"
"""How batches that were decided at the desk begin."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a reader wants of a picture: `seen` and `version` are the caption that they saw and its version."""

    id: str
    seen: str
    version: str
    caption: str
    word: Word = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of wishes: the batch's name and its decisions, None and 0 where nothing changed, and conflicts."""

    batch: str | None
    decisions: int
    conflicts: tuple[Conflict, ...] = ()


class Desk:
    """Rows in their order, and how they change. Safe to use from several threads, and beside other processes.

    `proposals` come in the order in which they are shown; `folder` is that of the journals; `lock` is held by whoever
    writes there; `marked` flags a row by what hangs on its caption as it stands.
    """

    def __init__(
        self,
        proposals: Sequence[Proposal],
        folder: Path,
        lock: Callable[[], AbstractContextManager[None]],
        *,
        marked: Callable[[ReviewRow], ReviewRow] = lambda row: row,
    ) -> None:
        self._marked = marked
        self._folder, self._lock, self._thread = folder, lock, RLock()
        self._known: dict[str, list[tuple[Proposal, int]]] = {}
        for proposal, alike in zip(proposals, likeness(proposals), strict=True):
            self._known.setdefault(proposal.pixel_id, []).append((proposal, alike))
        self._order = [proposal.pixel_id for proposal in proposals]
        self._sizes: dict[str, int] = {}
        self._said: dict[str, list[Decision]] = {}
        self._waiting: dict[str, list[Conflict]] = {}
        self._rows: dict[str, ReviewRow] = {}
        self._load()

    def rows(self) -> list[ReviewRow]:
        """All rows as they stand, in order."""
        with self._thread:
            self._refresh()
            return list(self._rows.values())

    def row(self, id_: str) -> ReviewRow:
        """One row as it stands.

        Raises:
            InputError: there is no such picture.
        """
        with self._thread:
            self._refresh()
            return self._row(id_)

    def history(self, row: ReviewRow) -> tuple[list[Decision], list[Conflict]]:
        """What was said of a picture, in the order of time, and the conflicts that wait."""
        with self._thread:
            return list(self._said.get(row.pixel_id, ())), list(self._waiting.get(row.pixel_id, ()))

    def drafts(self, reviewer: str) -> dict[str, str]:
        """What a reviewer typed and has not decided, by the rows' ids."""
        with self._thread:
            self._refresh()
            said = Journal(tuple(one for some in self._said.values() for one in some if one.reviewer == reviewer))
            found = drafts.load(self._folder, reviewer, said)
            return {row.id: found[row.pixel_id] for row in self._rows.values() if row.pixel_id in found}

    def draft(self, id_: str, reviewer: str, text: str | None) -> None:
        """Write down what a reviewer has typed so far; None forgets it. It is on the disk when this returns.

        Raises:
            InputError: there is no such picture.
            ReviewError: the reviewer's name cannot be a file's name.
            WorkspaceError: it cannot be written.
        """
        drafts.append(self._folder, reviewer, self._row(id_).pixel_id, text)

    def decide(self, wishes: Iterable[Wish], reviewer: str, *, bulk: bool = False) -> Outcome:
        """Decide about pictures, all in one batch; what was overtaken is written down as a conflict instead.

        It is on the disk when this returns. With `bulk` nobody looked at each: captions that no person had read before
        are recorded as unread.

        Raises:
            InputError: there is no such picture.
            ReviewError: a caption was emptied, or there is none to accept.
            WorkspaceError: it cannot be written.
        """
        with self._thread, self._lock():
            self._refresh()
            wishes = list(wishes)
            rows = {wish.id: self._row(wish.id) for wish in wishes}
            edited = [
                EditedRow(n, wish.id, wish.seen, wish.caption, wish.word, wish.note, "", wish.version)
                for n, wish in enumerate(wishes, start=1)
            ]
            said = Journal(tuple(one for row in rows.values() for one in self._said.get(row.pixel_id, ())))
            contested = {row.pixel_id for row in rows.values() if row.pixel_id in self._waiting}
            how = Applying(reviewer, journal.now(), override=True, as_is=True, contested=contested)
            found = changes(list(rows.values()), edited, said, how, name="the page")
            overtaken = tuple(conflicts.of(change) for change in found.conflicts)
            conflicts.append(self._folder, overtaken)
            batch = f"{BATCH}{journal.new_batch()}"
            made = journal.together(
                [
                    replace(one.decision, read=one.row.source == "person" and one.row.read) if bulk else one.decision
                    for one in found.fresh
                ],
                batch,
            )
            journal.append(self._folder, made)
            self._add(made, conflicted=bool(overtaken))
            return Outcome(batch if made else None, len(made), overtaken)

    def undo(self, batch: str, reviewer: str) -> int:
        """Take back a batch that was decided at a desk; how many decisions that were.

        Raises:
            InputError: there is no such batch, or it is of someone else.
            WorkspaceError: it cannot be written.
        """
        with self._thread, self._lock():
            self._refresh()
            own = [one for some in self._said.values() for one in some if one.batch == batch]
            if not own or any(one.reviewer != reviewer for one in own):
                raise InputError(
                    "there is no such batch of yours", field="batch", value=batch, remedy="It may be undone already."
                )
            journal.undo(self._folder, batch, reviewer=reviewer, at=journal.now())
            self._load()
            return len(own)

    def _row(self, id_: str) -> ReviewRow:
        try:
            return self._rows[id_]
        except KeyError:
            raise InputError("there is no such picture", field="id", value=id_, remedy="Reload the page.") from None

    def _refresh(self) -> None:
        if self._measured() != self._sizes:
            self._load()

    def _measured(self) -> dict[str, int]:
        paths = [*self._folder.glob("*.jsonl"), *(self._folder / conflicts.FOLDER).glob("*.jsonl")]
        return {str(path): path.stat().st_size for path in paths}

    def _load(self) -> None:
        # measured first: what is written meanwhile is seen the next time
        self._sizes = self._measured()
        said = journal.load(self._folder)
        self._said = {}
        for one in said.decisions:
            self._said.setdefault(one.pixel_id, []).append(one)
        self._wait(said)
        self._rows = {}
        for pixel_id in dict.fromkeys(self._order):
            for row in self._made(pixel_id):
                self._rows[row.id] = row

    def _wait(self, said: Journal) -> None:
        self._waiting = {}
        for conflict in conflicts.waiting(self._folder, said):
            self._waiting.setdefault(conflict.pixel_id, []).append(conflict)

    def _add(self, made: Iterable[Decision], *, conflicted: bool) -> None:
        """Take in what this desk has just written, without reading all of it again."""
        touched = {one.pixel_id for one in made}
        for one in made:
            self._said.setdefault(one.pixel_id, []).append(one)
        if conflicted or touched & self._waiting.keys():
            before = self._waiting.keys()
            self._wait(Journal(tuple(one for some in self._said.values() for one in some)))
            touched |= before ^ self._waiting.keys()
        for pixel_id in touched & self._known.keys():
            for row in self._made(pixel_id):
                self._rows[row.id] = row
        self._sizes = self._measured()

    def _made(self, pixel_id: str) -> list[ReviewRow]:
        stands = Journal(tuple(self._said.get(pixel_id, ()))).latest().get(pixel_id)
        waiting = self._waiting.get(pixel_id, ())
        rows = [
            self._marked(review_row(proposal, stands, alike=alike, contested=bool(waiting)))
            for proposal, alike in self._known[pixel_id]
        ]
        # the page shows a conflict itself: of what a table tells of it, the candidates are wanted alone
        return [replace(row, candidates=conflicts.shown(row, waiting).candidates) if waiting else row for row in rows]


def found(rows: Iterable[ReviewRow], *, search: str = "", flag: str = "", state: str = "all") -> list[ReviewRow]:
    """The rows with a text in caption, note or file name, with a flag, and in a state.

    States: all, undecided, decided, unread, kept, dropped, unsure, in conflict, noted.
    """
    wanted = search.casefold()
    return [
        row
        for row in rows
        if STATES[state](row)
        and (not flag or flag in row.flags)
        and (not wanted or wanted in f"{row.caption}\n{row.origin}\n{row.note}".casefold())
    ]


STATES: dict[str, Callable[[ReviewRow], bool]] = {
    "all": lambda row: True,  # noqa: ARG005 (a condition like the others)
    "undecided": lambda row: not row.decided,
    "decided": lambda row: row.decided,
    "unread": lambda row: not row.read,
    "kept": lambda row: row.verdict == "keep",
    "dropped": lambda row: row.verdict == "drop",
    "unsure": lambda row: row.verdict == "unsure",
    "in conflict": lambda row: "in conflict" in row.flags,
    "noted": lambda row: bool(row.note),
}


def replaced(rows: Iterable[ReviewRow], find: str, by: str) -> list[Wish]:
    """The wishes that put `by` for each `find` in the captions that hold it, in upper and lower case as written."""
    return [
        Wish(row.id, row.caption, row.version, row.caption.replace(find, by))
        for row in rows
        if find and find in row.caption and row.caption.replace(find, by) != row.caption
    ]
