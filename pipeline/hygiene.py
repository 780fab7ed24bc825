"""What captioners say without meaning it, and what people write instead: put right in machines' captions, and told."""

import re
from collections.abc import Mapping
from functools import lru_cache

OPENING = re.compile(
    r"^(?:(?:there|this|here) is )?(?:an? |the )?(?:image|picture|photo|photograph|pic|snapshot)"
    r"(?: (?:that shows|which shows|showing|depicting)| of) (?=\S)",
    re.IGNORECASE,
)
"""What tells that a picture is a picture; a drawing or a painting is a style, and stays."""
INVENTED = re.compile(r"\b(?P<article>an? )?(?:araff?ed|araff?es?)\b *(?P<next>\w)?", re.IGNORECASE)
"""Words that BLIP's -large invented, seen at the beginning of thousands of its captions."""
LONGEST = 12
"""Words of the longest phrase whose repeats are looked for."""
EMPTY = re.compile(r",(?:\s*,)+")
"""A part between commas of which nothing is left."""
GAP = re.compile(r"\s+([,.;:!?])")
"""A space before a mark, where a word was."""
SMALL = frozenset(["a", "an", "the", "and", "or", "of", "in", "on", "at", "with", "to", "is", "are"])
"""Words that are never meant twice in a row; others may be, as in a place's name."""


def cleaned(text: str) -> tuple[str, tuple[str, ...]]:
    """The caption without boilerplate, invented words and repeats, and a few words about each change, in order.

    Cleaned again nothing changes. A caption that would be empty is left as it is.
    """
    now, told = " ".join(text.split()), []
    while True:
        for change in (_opening, _invented, _repeated, _listed_twice, _loose_end):
            after, what = change(now)
            if what and after:
                now = after
                told.append(what)
                break
        else:
            return now, tuple(told)


def replaced(text: str, instead: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """The caption with what is to stand `instead` of each phrase (nothing: struck out), and a few words about each.

    Phrases are whole words, whatever their case; of two that begin at one place the longer is taken, and what was put
    in is not looked at again. A caption that would be empty is left as it is.
    """
    if not instead:
        return text, ()
    told: list[str] = []
    longest_first = tuple(sorted(instead, key=lambda phrase: (-len(" ".join(phrase.split())), phrase)))

    def put(found: re.Match[str]) -> str:
        new = instead[longest_first[(found.lastindex or 1) - 1]]
        if found[0][0].isupper():
            new = new[:1].upper() + new[1:]
        told.append(f"“{new}” instead of “{found[0]}”" if new else f"took out “{found[0]}”")
        return new

    now = _any_of(longest_first).sub(put, text)
    if not told:
        return text, ()
    now = GAP.sub(r"\1", EMPTY.sub(",", " ".join(now.split()))).strip(" ,;")
    return (now, tuple(dict.fromkeys(told))) if now else (text, ())


@lru_cache(maxsize=8)
def _any_of(phrases: tuple[str, ...]) -> re.Pattern[str]:
    either = "|".join("(" + r"\s+".join(map(re.escape, phrase.split())) + ")" for phrase in phrases)
    # as lessons.py reads words: with their hyphens and apostrophes
    return re.compile(rf"(?<![\w'\u2019-])(?:{either})(?![\w'\u2019-])", re.IGNORECASE)


def _opening(text: str) -> tuple[str, str]:
    found = OPENING.match(text)
    return (text[found.end() :], f"took out “{found[0].strip()}”") if found else (text, "")


def _invented(text: str) -> tuple[str, str]:
    found = INVENTED.search(text)
    if not found:
        return text, ""
    following = found["next"] or ""
    article = ("an " if following.casefold() in "aeiou" else "a ") if found["article"] and following else ""
    said = found[0].removesuffix(following).strip()
    return (text[: found.start()] + article + following + text[found.end() :]).strip(" ,"), f"took out “{said}”"


def _repeated(text: str) -> tuple[str, str]:
    """A phrase that stands twice or more in a row once; the shortest at the earliest place first."""
    words = text.split(" ")
    plain = [word.casefold().strip(",.;") for word in words]
    for start in range(len(words)):
        for size in range(1, min(LONGEST, (len(words) - start) // 2) + 1):
            phrase = plain[start : start + size]
            count = 1
            while plain[start + count * size : start + (count + 1) * size] == phrase:
                count += 1
            # a single word may be meant twice, such as in Bora Bora; three times it is not
            if count > 2 or (count == 2 and (size > 1 or phrase[0] in SMALL)):
                kept = words[: start + size] + words[start + count * size :]
                return " ".join(kept), f"“{' '.join(phrase)}” once, not {count} times"
    return text, ""


def _listed_twice(text: str) -> tuple[str, str]:
    """A part between commas that came before."""
    parts = text.split(", ")
    for place, part in enumerate(parts):
        if part.casefold() in {one.casefold() for one in parts[:place]}:
            return ", ".join(parts[:place] + parts[place + 1 :]), f"“{part}” once in the list"
    return text, ""


def _loose_end(text: str) -> tuple[str, str]:
    """A small word at the end, with which a caption was cut off."""
    words = text.rstrip(" ,;").split(" ")
    if len(words) > 1 and words[-1].casefold() in SMALL:
        return " ".join(words[:-1]).rstrip(" ,;"), f"took “{words[-1]}” off the end"
    return text, ""
