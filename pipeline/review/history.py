"""A caption's versions from the first proposal to what stands: each with its source, its time and its parent."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from pipeline.review.journal import Decision
from pipeline.review.versions import plain, version


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """What one run proposed: `made` says by whom (`captioner`, `model`, `revision`, `weights`, `settings` ...).

    `said` is the machine's own text where hygiene changed it, with `changes` as words; `at` a time in ISO 8601.
    """

    run: str
    at: str
    body: str
    source: str
    made: Mapping[str, Any]
    said: str | None = None
    changes: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version: `id` names the picture and the text as review files do (`base`), `parent` is the one it was made of.

    `by` is a captioner, `sidecar`, `hygiene`, or `person:NAME`; `at` a time in UTC; `told` how it was made.
    """

    id: str
    parent: str | None
    text: str
    by: str
    at: str
    told: Mapping[str, Any]


def of(pixel_id: str, proposed: Iterable[Proposed], decisions: Iterable[Decision]) -> list[Version]:
    """The versions of a picture's caption in the order of time, each text of a source once.

    A person's parent is the text that they saw, if it is known, and else the version before. What a later run proposes
    has no parent: it was made of the picture.
    """
    found: list[Version] = []

    def add(text: str, parent: str | None, by: str, at: str, told: Mapping[str, Any]) -> str:
        name = version(pixel_id, text, None)
        told = {key: value for key, value in told.items() if value not in (None, "", [], {}, ())}
        if not any((one.id, one.by, one.told) == (name, by, told) for one in found):
            found.append(Version(id=name, parent=parent, text=plain(text), by=by, at=at, told=told))
        return name

    events: list[tuple[datetime, int, Proposed | Decision]] = [
        *((datetime.fromisoformat(one.at), 0, one) for one in proposed),
        *((datetime.fromisoformat(one.at), 1, one) for one in decisions if one.pixel_id == pixel_id and not one.blank),
    ]
    for _, _, one in sorted(events, key=lambda event: event[:2]):
        if isinstance(one, Proposed):
            by = str(one.made.get("captioner") or one.source.partition(" ")[0])
            made = {"run": one.run, **one.made}
            if one.said is None:
                add(one.body, None, by, one.at, made)
            else:
                raw = add(one.said, None, by, one.at, made)
                add(one.body, raw, "hygiene", one.at, {"changes": list(one.changes)})
            continue
        seen = version(pixel_id, one.proposed, None) if one.proposed is not None else None
        known = [older.id for older in found]
        parent = seen if seen in known else (known[-1] if known else None)
        told = {"verdict": one.verdict, "note": one.note, "batch": one.batch, "read": None if one.read else "unread"}
        text = one.caption if (one.caption or "").strip() else next((v.text for v in found if v.id == parent), "")
        add(text or "", parent, f"person:{one.reviewer}", one.at, told)
    return found


def values(versions: Sequence[Version]) -> list[dict[str, Any]]:
    """The versions for a script."""
    return [{**asdict(one), "told": dict(one.told)} for one in versions]
