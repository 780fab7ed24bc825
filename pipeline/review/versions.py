"""The version of what stands for a picture: by it a table, a page or a patch says what its reader had seen."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable

from pipeline.review.journal import Verdict

CANARY = "\u00e9\u0142"
"""Two letters at the end of a version in a table: the first is in Windows-1252, the second is not. What a program did
to them it did to every caption in the file."""
_WRITTEN = re.compile(r"\s*(v-[0-9a-f]{12})-(.*?)\s*", re.DOTALL | re.IGNORECASE)


def plain(text: str) -> str:
    """A text as captions are compared: without what no reader sees.

    Spreadsheets trade CR LF for LF and compose accents; nobody sees white space at the ends.
    """
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n").strip())


def version(pixel_id: str, caption: str, verdict: Verdict | None) -> str:
    """A short hash (48 bits) of a picture, its caption and what was said of it."""
    said = json.dumps([pixel_id, plain(caption), verdict])
    return f"v-{hashlib.sha256(said.encode()).hexdigest()[:12]}"


def find(wanted: str, pixel_id: str, captions: Iterable[str]) -> tuple[str, Verdict | None] | None:
    """The caption and the verdict, of any, that have the version `wanted`; None where no caption of these has it."""
    verdicts: tuple[Verdict | None, ...] = (None, "keep", "drop", "unsure")
    for caption in captions:
        for verdict in verdicts:
            if version(pixel_id, caption, verdict) == wanted:
                return caption, verdict
    return None


def written(version: str) -> str:
    """A version as a table holds it, with the canary behind it."""
    return f"{version}-{CANARY}"


def read(cell: str) -> tuple[str, str] | None:
    """The version and what has become of the canary; None where the cell holds no version."""
    found = _WRITTEN.fullmatch(cell)
    return (found[1].lower(), found[2]) if found else None
