"""What a reviewer has typed and not yet decided, keystroke by keystroke: append-only, beside the journals.

A line of `<workspace>/decisions/drafts/anna.jsonl`:

    {"pixel_id": "9f…", "at": "2025-01-31T09:30:00+00:00", "text": "a red k"}

A draft ends with the reviewer's next decision about the picture, or with a line whose text is null.
"""

import json
from datetime import UTC, datetime
from pathlib import Path

from pipeline.review import journal
from pipeline.review.journal import Journal

FOLDER = "drafts"


def append(folder: Path, reviewer: str, pixel_id: str, text: str | None) -> None:
    """Write a draft down, synced to disk; None discards it.

    Raises:
        ReviewError: the reviewer's name cannot be a file's name.
        WorkspaceError: it cannot be written.
    """
    line = json.dumps({"pixel_id": pixel_id, "at": journal.now(), "text": text}) + "\n"
    journal.write_lines(folder / FOLDER / f"{journal.checked(reviewer)}.jsonl", [line])


def load(folder: Path, reviewer: str, said: Journal) -> dict[str, str]:
    """The reviewer's drafts by pixel_id, without those that were decided since; a torn line is left out.

    Raises:
        ReviewError: the reviewer's name cannot be a file's name.
    """
    path = folder / FOLDER / f"{journal.checked(reviewer)}.jsonl"
    found: dict[str, tuple[datetime, str | None]] = {}
    for line in path.read_bytes().split(b"\n") if path.exists() else ():
        try:
            told = json.loads(line)
            found[str(told["pixel_id"])] = (datetime.fromisoformat(told["at"]), told["text"])
        except (ValueError, TypeError, KeyError):
            continue
    since: dict[str, datetime] = {}
    for one in said.decisions:
        if one.reviewer == reviewer:
            since[one.pixel_id] = datetime.fromisoformat(one.at)
    never = datetime.min.replace(tzinfo=UTC)
    return {
        pixel_id: text
        for pixel_id, (at, text) in found.items()
        if isinstance(text, str) and at > since.get(pixel_id, never)
    }
