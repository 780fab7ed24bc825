"""What a person meant by a row of a reviewed table: told from what the program between did to it, or refused."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from pipeline.review import damage, spreadsheet, versions
from pipeline.review.damage import essence
from pipeline.review.journal import Verdict
from pipeline.review.problems import Problems
from pipeline.review.rows import ReviewRow
from pipeline.review.table import EditedRow
from pipeline.review.versions import plain


@dataclass(frozen=True, slots=True)
class Intent:
    """A row as it was meant: the caption and the verdict that its reader saw, and the caption that they want.

    `repaired` tells what a program did to the row that could be undone, "" where it did nothing; `cosmetic` is True
    where the caption differs from the one seen in nothing but spaces, quotes and dashes, which is no edit.
    """

    got: EditedRow
    row: ReviewRow
    seen: str
    seen_verdict: Verdict | None
    caption: str
    repaired: str = ""
    cosmetic: bool = False

    @property
    def is_edit(self) -> bool:
        """Whether the person wants another caption than the one that they saw."""
        return self.caption != plain(self.seen)


def read(
    got: EditedRow, row: ReviewRow, known: Collection[str], problems: Problems, *, as_is: bool = False
) -> Intent | None:
    """The intent of a row, or None and its problems noted. `known` are captions that ever stood for the picture.

    With `as_is` the caption is taken letter by letter, however much it looks like a program's work.
    """
    where = f"row {got.line}, column"
    before, caption, stands = plain(got.before), plain(got.caption), plain(row.caption)
    found = versions.find(got.base, row.pixel_id, dict.fromkeys([got.before, row.caption, row.proposed, *known]))
    if found is None:
        problems.add(
            "the id, the caption before and its version do not belong together",
            cell=f"{where} base",
            value=got.base or None,
            remedy="Was one column sorted, or a cell moved? Undo that, delete the row, or export again.",
        )
        return None
    seen, seen_verdict = found
    intact = before == plain(spreadsheet.shown(seen))
    made = None if intact else damage.explained(plain(spreadsheet.shown(seen)), before)
    if caption == before and (intact or made):
        return Intent(got, row, seen, seen_verdict, plain(seen), repaired=made or "")
    if not intact:
        problems.add(
            "came back with other letters, and its caption was edited" if made else "was changed",
            cell=f"{where} before",
            value=before,
            remedy=f"It was {seen[:200]!r}. Restore it and edit the column caption alone"
            + ("; save as XLSX or CSV UTF-8." if made else ", or export again."),
        )
        return None
    if damage.cosmetic(before, caption) and not as_is:
        return Intent(got, row, seen, seen_verdict, plain(seen), cosmetic=True)
    odd = None if as_is or caption == stands else damage.suspicious(before, caption, lossy=got.lossy)
    if odd:
        problems.add(
            odd, cell=f"{where} caption", value=caption, remedy="Mend it, or apply with --as-is if it is meant so."
        )
        return None
    return Intent(got, row, seen, seen_verdict, caption)


def moved(intents: Iterable[Intent]) -> list[tuple[Intent, Intent]]:
    """Edited rows whose caption is the one that another edited row had, and that row: was a column sorted or moved?

    A caption that several rows had counts where the other is the next or the last one, or where all that was edited are
    the same captions in other rows.
    """
    edited = [intent for intent in intents if intent.is_edit and intent.seen.strip()]
    homes: dict[str, list[Intent]] = {}
    for intent in edited:
        homes.setdefault(essence(intent.seen), []).append(intent)
    same = Counter(essence(one.caption) for one in edited) == Counter(essence(one.seen) for one in edited)

    def home(intent: Intent) -> Intent | None:
        found = homes.get(essence(intent.caption), [])
        if same or len(found) == 1:
            return next((one for one in found if one is not intent), None)
        return next((one for one in found if abs(one.got.line - intent.got.line) == 1), None)

    return [(intent, other) for intent in edited if (other := home(intent)) is not None]
