"""What spreadsheets do to text files: formulas that they would run, encodings and separators that they choose."""

import csv
import io
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ReviewError
from pipeline.review.columns import known
from pipeline.review.versions import CANARY

# Excel's own limit of characters in a cell; it spreads longer ones over the rows below
CELL_LIMIT = 32_767
LOOKED_AT = 10
"""The header is one of the first so many rows: people put titles above it."""
NO_TEXT = "\ufdd0"
"""Begins the text of a workbook's cell that held none, before its kind: a character that stands for nothing."""
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
# OWASP's list of beginnings that spreadsheets run as a formula (https://owasp.org/www-community/attacks/CSV_Injection)
_FORMULA = frozenset("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")  # the last four: their full-width forms
# characters that XML, and so a workbook, cannot hold
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_LEGACY = {"cp1252": "Windows-1252", "mac_roman": "Mac Roman", "cp1250": "Windows-1250"}


@dataclass(frozen=True, slots=True)
class Sheet:
    """The cells of a file with their rows' numbers in a spreadsheet, and how they were read, in words."""

    rows: list[tuple[int, list[str]]]
    how: str


def shown(text: str) -> str:
    """A text as a cell can hold it: what cannot be written is a replacement character, an end of line is LF."""
    return _UNWRITABLE.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def escaped(text: str) -> str:
    """Put an apostrophe before a text that a spreadsheet would run, or that begins with one.

    Typing in a cell that begins with one apostrophe makes Excel take it away; of two, one stays.
    """
    return f"'{text}" if _runs(text) or text.startswith("'") else text


def unescaped(text: str) -> str:
    """Take away exactly the apostrophe that `escaped` put there."""
    return text[1:] if text.startswith("'") and (_runs(text[1:]) or text.startswith("''")) else text


def read(path: Path, *, columns: Collection[str]) -> Sheet:
    """The rows of a CSV or TSV file, in whatever encoding and with whatever separator; `columns` tell the separator.

    Raises:
        ReviewError: the file cannot be read, is not text, or has a quote that is never closed.
    """
    try:
        text, encoding = _decoded(path.read_bytes())
        rows, separator = _rows(text, columns)
    except OSError as error:
        raise ReviewError(
            f"the file cannot be read: {error.strerror}", field=str(path), remedy="Check the path."
        ) from error
    except csv.Error as error:
        raise ReviewError(
            f"not a well-formed table: {error}",
            field=str(path),
            remedy="Open it in a spreadsheet and save it again as CSV UTF-8.",
        ) from error
    except UnicodeDecodeError as error:
        raise ReviewError(
            "the text is neither UTF-8, UTF-16 nor Windows-1252",
            field=str(path),
            value=error.object[error.start : error.start + 1],
            remedy="Save it from the spreadsheet as CSV UTF-8.",
        ) from error
    return Sheet(rows, f"text in {encoding}, separated by {separator}")


def _runs(text: str) -> bool:
    return text[:1] in _FORMULA or text.lstrip()[:1] in _FORMULA


def _decoded(data: bytes) -> tuple[str, str]:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16"), "UTF-16"
    # no header of ours holds a NUL character: in UTF-16 without its mark every other byte is one
    if data[1:2] == b"\0" or data[:1] == b"\0":
        return data.decode("utf-16-le" if data[1:2] == b"\0" else "utf-16-be"), "UTF-16"
    try:
        return data.decode("utf-8-sig"), "UTF-8"
    except UnicodeDecodeError:
        return _legacy(data)


def _legacy(data: bytes) -> tuple[str, str]:
    """Of the encodings of eight bits that under which the canary is what it was; else Windows-1252."""
    for encoding, name in _LEGACY.items():
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if re.search(f"v-[0-9a-f]{{12}}-{CANARY[0]}[{CANARY[1]}?]", text, re.IGNORECASE):
            return text, name
    return data.decode("cp1252"), _LEGACY["cp1252"]


def _rows(text: str, columns: Collection[str]) -> tuple[list[tuple[int, list[str]]], str]:
    """The rows with their numbers, by the delimiter under which most of `columns` appear in one of the first."""
    hint, _, rest = text.partition("\n")
    hinted = hint.strip('\r\n"').casefold()
    skip = len(hinted) == 5 and hinted.startswith("sep=")  # a line with which Excel is told the separator
    body, first = (rest, 2) if skip else (text, 1)

    def fits(delimiter: str) -> int:
        reader = csv.reader(io.StringIO(body, newline=""), delimiter=delimiter)
        few = [row for row, _ in zip(reader, range(LOOKED_AT), strict=False)]
        return max((len({known(name) for name in row} & set(columns)) for row in few), default=0)

    delimiter = max(_DELIMITERS, key=fits)
    reader = csv.reader(io.StringIO(body, newline=""), delimiter=delimiter, strict=True)
    return list(enumerate(reader, start=first)), _DELIMITERS[delimiter]
