"""The review as a page of its own, for a USB stick: it needs no server, and saves what was decided as a patch file.

The patch is a review table (CSV) of the rows that were touched: `gesso review apply` reads it like any other.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from pipeline.review import pictures as beside
from pipeline.review import versions
from pipeline.review.columns import WORDS
from pipeline.review.rows import ReviewRow
from pipeline.review.spreadsheet import shown
from pipeline.workspace import write_bytes

TEMPLATES = Path(__file__).parent / "templates"
CANDIDATES = 3
"""Most candidates that a picture shows."""


def write(rows: Sequence[ReviewRow], path: Path, *, pictures: Mapping[str, bytes], reviewer: str = "") -> None:
    """Write the page, and its pictures (encoded, by sample_id) as JPEG in `<stem>_thumbnails/` beside it."""
    beside.save(path, rows, pictures)
    data = [_told(row, beside.place(path, row, pictures)) for row in rows]
    name = hashlib.sha256("".join(one["base"] for one in data).encode()).hexdigest()[:12]
    told = {"name": name, "file": path.stem, "reviewer": reviewer, "words": WORDS, "rows": data}
    style, script = _source("sheet.css"), _source("sheet.js")
    page = _environment().get_template("sheet.html.j2").render(
        title=path.stem, style=style, script=script, style_hash=_hash(style), script_hash=_hash(script),
        # in a script nothing but its own end can end it, and JSON needs no < outside its texts
        data=json.dumps(told).replace("<", "\\u003c"),
    )  # fmt: skip
    write_bytes(path, page.encode("utf-8"))


def _told(row: ReviewRow, place: str) -> dict[str, Any]:
    return {
        "id": row.id,
        "picture": place,
        "file": row.origin.encode("utf-8", "backslashreplace").decode(),
        "candidates": [shown(text) for text in dict.fromkeys((*row.candidates, row.proposed)) if text.strip()][
            :CANDIDATES
        ],
        "flags": list(row.flags),
        "caption": shown(row.caption),
        "unread": shown(row.unread),
        "note": shown(row.note),
        "base": versions.written(row.version),
    }


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=select_autoescape(default=True), undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip


def _source(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _hash(source: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}"
