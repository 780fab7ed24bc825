"""The caption that stands beside the file: in a .txt of its name, or in the folder's metadata."""

import unicodedata
from collections.abc import Sequence

from pydantic import BaseModel

from pipeline.manifest import Row

VERSION = 1
DESCRIPTION = "The caption that stands beside the file, in a .txt of its name or in the folder's metadata."
LOOKS = False
SENTENCES = False
READS = ("sidecar",)


class Params(BaseModel, frozen=True, extra="forbid"):
    """It has none."""


def weights(params: Params) -> str:  # noqa: ARG001 - the contract of all captioners
    """It has no weights."""
    return ""


def provenance(params: Params) -> str:  # noqa: ARG001
    """Where the caption is from."""
    return "sidecar"


def caption(rows: Sequence[Row], params: Params, *, device: str = "cpu") -> list[str]:  # noqa: ARG001
    """Each row's `sidecar` in one line: white space run together, Unicode composed (NFC); "" where there is none."""
    return [" ".join(unicodedata.normalize("NFC", row["sidecar"] or "").split()) for row in rows]
