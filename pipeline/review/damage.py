"""What programs do to a text on its way through them: told from what a person typed."""

import re
import unicodedata
from collections.abc import Callable

from pipeline.review.rows import BROKEN
from pipeline.review.spreadsheet import CELL_LIMIT
from pipeline.review.versions import plain

_QUOTES = str.maketrans(
    {
        "\u2018": "'", "\u2019": "'", "\u201a": "'", "\u201b": "'", "\u201c": '"', "\u201d": '"', "\u201e": '"',
        "\u00ab": '"', "\u00bb": '"', "\u2013": "-", "\u2014": "-", "\u2011": "-", "\u2026": "...", "\u00a0": " ",
        "\u202f": " ",
    }
)  # fmt: skip
"""What autocorrection makes of what is typed, turned back."""
_NUMBER = re.compile(r"[\s\d.,:/%$\u20ac\u00a3+\-()e]*", re.IGNORECASE)
_WORDS = re.compile(r"\b(am|pm|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\b", re.IGNORECASE)
_ERROR = re.compile(r"#(NAME|REF|VALUE|DIV/0|N/A|NULL|NUM)[?!]?|Err:\d{3}", re.IGNORECASE)
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\ufffd\x7f-\x9f]")
_ODD_QUESTION = re.compile(r"(^|\s|\w)\?\w|\s\?(\s|$)")
CUTS = (255, 256, 1024)
"""Lengths at which fields of databases and cells of old spreadsheets end."""
_LEGACY = ("cp1252", "latin-1", "cp1250", "mac_roman", "ascii")


def essence(text: str) -> str:
    """A text without what programs commonly do to it: white space, quotes and dashes, apostrophes in front."""
    return _unquoted(text).lstrip("'")


def cosmetic(base: str, text: str) -> bool:
    """Whether two texts differ in nothing but white space, and quotes and dashes as autocorrection makes them."""
    return _unquoted(base) == _unquoted(text)


def explained(base: str, got: str) -> str | None:
    """What a program must have done to make `got` of `base`, in words; None where nothing known does that."""
    if plain(base) == plain(got):
        return "spaces"
    known: dict[str, Callable[[str], bool]] = {
        "quotes, dashes or spaces": lambda text: cosmetic(base, text),
        "cut off": lambda text: len(text) in (*CUTS, CELL_LIMIT) and base.startswith(text),
        "apostrophes in front": lambda text: base.lstrip("'\u2019") == text.lstrip("'\u2019"),
        "letters that the encoding lacks": lambda text: any(plain(text) in _lossy(base, one) for one in _LEGACY),
        "another encoding": lambda text: any(plain(text) in _misread(base, one) for one in _LEGACY),
        "invisible characters": lambda text: plain(_INVISIBLE.sub("", base)) == plain(_INVISIBLE.sub("", text)),
        "compatible characters": lambda text: unicodedata.normalize("NFKC", base) == plain(text),
        "read as a number or a date": lambda text: _is_number(base) and _is_number(text),
        "read as a formula": lambda text: bool(_ERROR.fullmatch(text.strip())),
    }
    return next((word for word, made in known.items() if made(got)), None)


def suspicious(base: str, text: str, *, lossy: bool) -> str | None:
    """Why an edit looks like a program's work rather than a person's, in words; None where it does not.

    `lossy` says that the file was saved in an encoding that lacks letters, which become question marks.
    """
    if len(text) >= CELL_LIMIT:
        return f"was cut at {CELL_LIMIT:,} characters, which is all that a cell holds"
    if len(text) in CUTS:
        return f"has just {len(text)} characters, at which programs cut texts"
    if "\ufffd" in text:
        return "holds a character that stands for a lost one"
    if (BROKEN.search(text) and not BROKEN.search(base)) or _was_utf8(text):
        return "holds a control character, or what another encoding makes of an accent"
    if _ERROR.fullmatch(text.strip()):
        return "is a spreadsheet's error"
    if _is_number(text):
        return "is a number or a date, which spreadsheets write in their own way"
    if (lossy and "?" in text) or (text.count("?") > base.count("?") and _ODD_QUESTION.search(text)):
        return "has a question mark where a letter may have been lost"
    made = explained(base, text)
    if made not in (None, "spaces", "quotes, dashes or spaces"):
        return f"is what a program makes of {base[:60]!r} ({made})"
    return None


def _was_utf8(text: str) -> bool:
    """Whether a text is UTF-8 that was read as Windows-1252: hardly any other becomes valid UTF-8 by turning back."""
    try:
        return text.encode("cp1252").decode("utf-8") != text
    except UnicodeError:
        return False


def _unquoted(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).translate(_QUOTES).split())


def _lossy(text: str, encoding: str) -> set[str]:
    """The text, with accents composed and apart, where each letter that the encoding lacks is a question mark."""
    forms = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    return {plain(one.encode(encoding, errors="replace").decode(encoding)) for one in forms}


def _misread(text: str, encoding: str) -> set[str]:
    """The text as it looks where its UTF-8 was read as `encoding`, or its Windows-1252 was."""
    found = set()
    for written in ("utf-8", "cp1252"):
        try:
            found.add(plain(plain(text).encode(written).decode(encoding, errors="replace")))
        except UnicodeEncodeError:
            continue
    return found - {plain(text)}


def _is_number(text: str) -> bool:
    bare = _WORDS.sub("1", text.strip())
    return bare.casefold() in ("true", "false") or bool(re.search(r"\d", bare) and _NUMBER.fullmatch(bare))
