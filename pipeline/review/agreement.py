"""How far reviewers agree where several looked at the same picture."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from pipeline.review.conflicts import Conflict
from pipeline.review.journal import Journal, Verdict
from pipeline.review.versions import plain


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two reviewers on the pictures that both judged, each by what they said first, before they saw the other's.

    `captions` counts pictures that both captioned, `same_captions` those with the same caption, and `words` is the
    mean share (0 to 1) of their words that are in both. `verdicts` counts pictures that one of them dropped or kept and
    the other judged as well, `same_verdicts` those that both dropped or neither did. `kappa` is Cohen's
    (https://doi.org/10.1177/001316446002000104) on dropping: 1 is agreement, 0 what chance gives; None where one of
    them said the same of all.
    """

    first: str
    second: str
    pictures: int
    captions: int
    same_captions: int
    words: float | None
    verdicts: int
    same_verdicts: int
    kappa: float | None

    def told(self) -> str:
        """The agreement in a sentence."""
        parts = [f"{self.first} and {self.second} both judged {self.pictures} pictures"]
        if self.captions:
            shared = f" ({self.words:.0%} of the words)" if self.words is not None else ""
            parts.append(f"the same caption for {self.same_captions} of {self.captions}{shared}")
        if self.verdicts:
            kappa = f" (kappa {self.kappa:.2f})" if self.kappa is not None else ""
            parts.append(f"agreed on keeping or dropping {self.same_verdicts} of {self.verdicts}{kappa}")
        return "; ".join(parts)


@dataclass(slots=True)
class _Said:
    caption: str | None = None
    verdict: Verdict | None = None


def agreements(said: Journal, conflicts: Iterable[Conflict]) -> list[Agreement]:
    """Of every two reviewers that judged a picture both, by their names."""
    told = [
        (one.at, one.reviewer, one.pixel_id, one.caption if one.read else None, one.verdict) for one in said.decisions
    ]
    told += [(one.at, one.reviewer, one.pixel_id, one.mine, one.mine_verdict) for one in conflicts]
    by: dict[str, dict[str, _Said]] = {}
    for _, reviewer, pixel_id, caption, verdict in sorted(told, key=lambda one: one[0]):
        if not caption and verdict not in ("keep", "drop"):
            continue
        first = by.setdefault(reviewer, {}).setdefault(pixel_id, _Said())
        first.caption = first.caption or caption
        first.verdict = first.verdict or (verdict if verdict in ("keep", "drop") else None)
    pairs = combinations(sorted(by), 2)
    return [
        _of(one, other, [(by[one][p], by[other][p]) for p in sorted(by[one].keys() & by[other].keys())])
        for one, other in pairs
        if by[one].keys() & by[other].keys()
    ]


def _of(first: str, second: str, both: Sequence[tuple[_Said, _Said]]) -> Agreement:
    captions = [(plain(a.caption), plain(b.caption)) for a, b in both if a.caption and b.caption]
    shares = [_shared(a, b) for a, b in captions]
    judged = [(a.verdict == "drop", b.verdict == "drop") for a, b in both if a.verdict or b.verdict]
    everything = [(a.verdict == "drop", b.verdict == "drop") for a, b in both]
    return Agreement(
        first=first,
        second=second,
        pictures=len(both),
        captions=len(captions),
        same_captions=sum(a == b for a, b in captions),
        words=sum(shares) / len(shares) if shares else None,
        verdicts=len(judged),
        same_verdicts=sum(a == b for a, b in judged),
        kappa=_kappa(everything),
    )


def _shared(one: str, other: str) -> float:
    a, b = set(one.casefold().split()), set(other.casefold().split())
    return len(a & b) / len(a | b) if a | b else 1.0


def _kappa(pairs: Sequence[tuple[bool, bool]]) -> float | None:
    count = len(pairs)
    a, b = sum(one for one, _ in pairs) / count, sum(other for _, other in pairs) / count
    chance = a * b + (1 - a) * (1 - b)
    if chance == 1:
        return None
    return (sum(one == other for one, other in pairs) / count - chance) / (1 - chance)
