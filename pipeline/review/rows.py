"""What a reviewer sees of each picture: a proposed caption, where it came from, and why it may need a look."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.review.journal import Decision, Verdict
from pipeline.review.versions import version

# Captions of two words rarely say more than a class; BLIP's own run from 7 to 15 words.
SHORTEST = 3
# CLIP reads 77 tokens, begin and end among them (https://arxiv.org/abs/2103.00020, section 2.4): some 55 English words.
LONGEST = 55
# From this many pictures on, one machine-made caption for all of them says little about each.
REPEATED = 3

_VERDICTS = {"keep": "kept by a person", "drop": "dropped by a person", "unsure": "a person is unsure"}
_EMPTY_WORDS = frozenset(
    re.findall(
        r"\w+",
        """a an the this that these those some any of in on at by with from to for and or is are was it its there here
        image images picture pictures photo photos photograph photographs photography photographic shot view close up
        closeup portrait stock background foreground thing things something object objects item items someone somebody
        very untitled img dsc dscn file scan screenshot unknown none null na""",
    )
)
# Chinese and Japanese put no spaces between words: each of their characters counts as one
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_]+(?:['\u2019][^\W_]+)*")
# UTF-8 read as Windows-1252 (Ã followed by a continuation byte), the replacement character, and control characters
BROKEN = re.compile("[ÃÂ][\u0080-\u00bf]|â€|\ufffd|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What is known of a picture before any person spoke.

    `body` is the caption's body from `source` ("blip starter@<revision>" or "sidecar"), "" where there is none;
    `candidates` what else was proposed, best first; `fit` how well the body tells of the picture (100 x cosine of
    CLIP), where that was measured; `sidecar` the caption that came with the file, if any; `origin` a path or URL to
    show; `thumbnail` an encoded picture.
    """

    sample_id: str
    pixel_id: str
    origin: str
    split: str
    body: str
    source: str
    candidates: tuple[str, ...] = ()
    fit: float | None = None
    sidecar: str | None = None
    thumbnail: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRow:
    """One picture in review. `proposed` is the machine's or the sidecar's body, `caption` the one that stands now.

    `source` says who wrote `caption` ("person" where one did), `decided` whether a person has decided (a note and
    `unsure` do not), `verdict` what they said of the picture, `read` is False where a caption was accepted unread,
    `flags` say why it may need a look, `note` is what was last noted. `candidates` and `fit` are those of the proposal.
    """

    sample_id: str
    pixel_id: str
    origin: str
    split: str
    flags: tuple[str, ...]
    proposed: str
    source: str
    caption: str
    decided: bool
    verdict: Verdict | None = None
    read: bool = True
    note: str = ""
    candidates: tuple[str, ...] = ()
    fit: float | None = None
    thumbnail: bytes | None = None
    unread: str = ""
    """The end of the caption as training reads it, composed, that the text encoder has no tokens left for."""

    @property
    def id(self) -> str:
        """A name for tables: no spreadsheet takes it for a number or a date. 64 bits: no two pictures share one."""
        return f"s-{self.sample_id[:16]}"

    @property
    def version(self) -> str:
        """What stands now, in short: see `versions.version`."""
        return version(self.pixel_id, self.caption, self.verdict)


def review_rows(
    proposals: Iterable[Proposal], decisions: Mapping[str, Decision], *, contested: Collection[str] = ()
) -> list[ReviewRow]:
    """Put what people decided (`Journal.latest()`, by pixel_id) over what was proposed, in the order of proposals.

    Pictures in `contested` (pixel_ids), on which two people differ, are undecided until a person has chosen.
    """
    proposals = list(proposals)
    return [
        review_row(p, decisions.get(p.pixel_id), alike=alike, contested=p.pixel_id in contested)
        for p, alike in zip(proposals, likeness(proposals), strict=True)
    ]


def likeness(proposals: Sequence[Proposal]) -> list[int]:
    """For each proposal, how many pictures have its machine-made body."""
    bodies = Counter(_key(p.body) for p in proposals if p.source != "sidecar")
    return [bodies[_key(p.body)] for p in proposals]


def review_row(proposal: Proposal, decision: Decision | None, *, alike: int, contested: bool) -> ReviewRow:
    """One row: a proposal, what was decided, how many pictures have its body, and whether people differ on it."""
    row = _row(proposal, decision, alike=alike)
    return replace(row, decided=False, flags=(*row.flags, "in conflict")) if contested else row


def flags(body: str, *, sidecar: str | None = None, alike: int = 1) -> tuple[str, ...]:
    """Why a caption's body may need a person's look; () where nothing speaks against it.

    `sidecar` is the caption that came with the file; `alike` counts the pictures with this same machine-made body.
    """
    if not body.strip():
        return ("no caption",)
    words = [word.casefold() for word in _WORD.findall(body)]
    telling = set(words) - _EMPTY_WORDS
    other = {word.casefold() for word in _WORD.findall(sidecar or "")} - _EMPTY_WORDS
    found = {
        "very short": len(words) < SHORTEST,
        "very long": len(words) > LONGEST,
        "names nothing": all(word.isdecimal() for word in telling),
        "repeats itself": any(
            count > max(2, len(words) / 3) for count in Counter(w for w in words if w in telling).values()
        ),
        "broken characters": bool(BROKEN.search(body)),
        "same caption as others": alike >= REPEATED,
        "differs from sidecar": bool(other) and not telling & other,
    }
    return tuple(name for name, holds in found.items() if holds)


def _row(proposal: Proposal, decision: Decision | None, *, alike: int) -> ReviewRow:
    spoken = decision.caption if decision else None
    if spoken is None:
        seen = list(flags(proposal.body, sidecar=proposal.sidecar, alike=alike if proposal.source != "sidecar" else 1))
    else:
        seen = list(flags(spoken))
    if decision:
        if decision.verdict:
            seen.append(_VERDICTS[decision.verdict])
        if spoken and not decision.read:
            seen.append("accepted unread")
        # a machine that now says what a person wrote has nothing new to say
        if spoken and decision.proposed is not None and proposal.body not in (decision.proposed, spoken):
            seen.append("proposed anew since")
    return ReviewRow(
        sample_id=proposal.sample_id,
        pixel_id=proposal.pixel_id,
        origin=proposal.origin,
        split=proposal.split,
        flags=tuple(seen),
        proposed=proposal.body,
        source=proposal.source if spoken is None else "person",
        caption=proposal.body if spoken is None else spoken,
        decided=decision is not None and decision.verdict != "unsure" and bool(spoken or decision.verdict),
        verdict=decision.verdict if decision else None,
        read=decision.read if decision else True,
        note=(decision.note if decision else None) or "",
        candidates=proposal.candidates,
        fit=proposal.fit,
        thumbnail=proposal.thumbnail,
    )


def _key(body: str) -> str:
    return " ".join(_WORD.findall(body.casefold()))
