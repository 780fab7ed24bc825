"""What reviewers changed in proposed captions: how much, whose, in which words, and what to write in their stead.

Distances are in words: those put in, taken out or changed, over the words of the longer text. 0 is an untouched
caption, 1 one of which nothing is left.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

MOST = 30
"""Terms and replacements that are told, the most frequent first."""
LEAST = 2
"""A replacement is suggested when people wrote it at least so often,"""
SHARE = 0.5
"""and in at least this share of the captions that they read with the machine's phrase in them."""
LONGEST = 5
"""Words of a phrase at most: longer ones are a caption written anew."""
_TOKEN = re.compile(r"[\w'\u2019-]+|[^\w\s]")
_WORD = re.compile(r"[^\W\d_][\w'\u2019-]{2,}")


@dataclass(frozen=True, slots=True)
class Read:
    """A caption that a person read: what was proposed, by which captioner, why it was flagged, what they made of it."""

    proposed: str
    caption: str
    captioner: str
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """Captions of one captioner or with one flag: how many were read, how many needed a hand, and the mean distance."""

    name: str
    read: int
    edited: int
    distance: float
    """0 to 1, over all that were read."""

    @property
    def share(self) -> float:
        """The share (0 to 1) that needed a hand."""
        return self.edited / self.read if self.read else 0.0


@dataclass(frozen=True, slots=True)
class Replacement:
    """What people write instead of a machine's phrase; nothing, where they strike it out."""

    phrase: str
    instead: str
    count: int
    """Captions in which they did."""
    seen: int
    """Captions that they read with the phrase in them."""


@dataclass(frozen=True, slots=True)
class Lessons:
    """What is to be learnt from a review; terms come with the number of captions, the most frequent first."""

    all: Group
    by_captioner: tuple[Group, ...]
    by_flag: tuple[Group, ...]
    added: tuple[tuple[str, int], ...]
    removed: tuple[tuple[str, int], ...]
    replacements: tuple[Replacement, ...]


def lessons(read: Iterable[Read]) -> Lessons:
    """Compare what was proposed with what people made of it."""
    measured = [(one, distance(one.proposed, one.caption)) for one in read]
    added: Counter[str] = Counter()
    removed: Counter[str] = Counter()
    for one, _ in measured:
        before, after = _words(one.proposed), _words(one.caption)
        added.update(after - before)
        removed.update(before - after)
    return Lessons(
        all=_group("all", measured),
        by_captioner=_groups(measured, lambda one: (one.captioner,)),
        by_flag=_groups(measured, lambda one: one.flags),
        added=_most(added),
        removed=_most(removed),
        replacements=_replacements([one for one, _ in measured]),
    )


def distance(before: str, after: str) -> float:
    """The distance of two texts in words, 0 to 1: Levenshtein's over the words of the longer; case is no matter."""
    a, b = _folded(before), _folded(after)
    longer = max(len(a), len(b))
    while a and b and a[-1] == b[-1]:  # most captions are hardly edited: only what lies between is compared
        a, b = a[:-1], b[:-1]
    start = next((place for place, (one, other) in enumerate(zip(a, b, strict=False)) if one != other), None)
    start = min(len(a), len(b)) if start is None else start
    return _steps(a[start:], b[start:]) / longer if longer else 0.0


def _steps(a: Sequence[str], b: Sequence[str]) -> int:
    row = list(range(len(b) + 1))
    for i, one in enumerate(a, start=1):
        before, row[0] = row[0], i
        for j, other in enumerate(b, start=1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (one != other))
    return row[-1]


def _groups(measured: Sequence[tuple[Read, float]], names: Callable[[Read], Iterable[str]]) -> tuple[Group, ...]:
    found: dict[str, list[tuple[Read, float]]] = {}
    for one in measured:
        for name in names(one[0]):
            found.setdefault(name, []).append(one)
    groups = [_group(name, some) for name, some in found.items()]
    return tuple(sorted(groups, key=lambda group: (-group.edited, -group.read, group.name)))


def _group(name: str, measured: Sequence[tuple[Read, float]]) -> Group:
    apart = [far for _, far in measured]
    edited = sum(one.caption.split() != one.proposed.split() for one, _ in measured)
    return Group(name, len(apart), edited, sum(apart) / len(apart) if apart else 0.0)


def _replacements(read: Sequence[Read]) -> tuple[Replacement, ...]:
    made = Counter(pair for one in read for pair in set(_changed(one.proposed, one.caption)))
    often = [(pair, count) for pair, count in made.items() if count >= LEAST]
    texts = [_spaced(_folded(one.proposed)) for one in read]
    seen = {phrase: sum(_spaced(phrase) in text for text in texts) for (phrase, _), _ in often}
    found = [
        Replacement(_told(phrase), _told(instead), count, seen[phrase])
        for (phrase, instead), count in often
        if count >= SHARE * seen[phrase]
    ]
    return tuple(sorted(found, key=lambda one: (-one.count, one.phrase, one.instead))[:MOST])


def _changed(before: str, after: str) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """The phrases that were changed or struck out, in words without their case, and what stands there instead."""
    a, b, written = _folded(before), _folded(after), _TOKEN.findall(after)
    for kind, start, end, to_start, to_end in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if kind in ("replace", "delete") and end - start <= LONGEST and to_end - to_start <= LONGEST:
            yield tuple(a[start:end]), tuple(written[to_start:to_end])


def _folded(text: str) -> list[str]:
    return [token.casefold() for token in _TOKEN.findall(text)]


def _spaced(tokens: Sequence[str]) -> str:
    """By it a phrase is found in a text at whole words."""
    return f" {' '.join(tokens)} "


def _told(tokens: Sequence[str]) -> str:
    return re.sub(r" ([,.;:!?])", r"\1", " ".join(tokens))


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.casefold()))


def _most(counts: Counter[str]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:MOST])
