"""What spreadsheets do to CSV: formulas that they would run, encodings and separators that they choose."""

import csv
import io
from collections.abc import Collection
from pathlib import Path

from pipeline.errors import ReviewError

_DELIMITERS = ",;\t"
# OWASP's list of beginnings that spreadsheets run as a formula (https://owasp.org/www-community/attacks/CSV_Injection)
_FORMULA = frozenset("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")  # the last four: their full-width forms


def escaped(text: str) -> str:
    """Put an apostrophe before a text that a spreadsheet would run, or that `unescaped` would take one from."""
    return f"'{text}" if _runs(text) or _is_escaped(text) else text


def unescaped(text: str) -> str:
    """Take away exactly the apostrophe that `escaped` put there."""
    return text[1:] if _is_escaped(text) else text


def records(path: Path, *, columns: Collection[str]) -> list[tuple[int, list[str]]]:
    """The rows of a CSV file with their numbers in a spreadsheet; the header, in which `columns` are expected, first.

    Raises:
        ReviewError: the file cannot be read, is not text, or has a quote that is never closed.
    """
    try:
        data = path.read_bytes()
        if data.startswith(b"PK\x03\x04"):
            raise ReviewError(
                "this is a workbook (XLSX or ODS)", field=str(path), remedy="Save it from the spreadsheet as CSV UTF-8."
            )
        return _rows(_decoded(data), columns)
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


def _is_escaped(text: str) -> bool:
    return text.startswith("'") and (_runs(text[1:]) or text.startswith("''"))


def _runs(text: str) -> bool:
    return text[:1] in _FORMULA


def _decoded(data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16")
    # no header of ours holds a NUL character: in UTF-16 without its mark every other byte is one
    if data[1:2] == b"\0" or data[:1] == b"\0":
        return data.decode("utf-16-le" if data[1:2] == b"\0" else "utf-16-be")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252")


def _rows(text: str, columns: Collection[str]) -> list[tuple[int, list[str]]]:
    """The rows of a table with their numbers, by the delimiter under which most of `columns` appear in the first."""
    hint, _, rest = text.partition("\n")
    hinted = hint.strip('\r\n"').casefold()
    skip = len(hinted) == 5 and hinted.startswith("sep=")  # a line with which Excel is told the separator
    body, first = (rest, 2) if skip else (text, 1)

    def known(delimiter: str) -> int:
        header = next(csv.reader(io.StringIO(body, newline=""), delimiter=delimiter), [])
        return len({name.strip().casefold() for name in header} & set(columns))

    delimiter = max(_DELIMITERS, key=known)
    reader = csv.reader(io.StringIO(body, newline=""), delimiter=delimiter, strict=True)
    return list(enumerate(reader, start=first))
