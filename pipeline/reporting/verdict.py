"""The sentence that a report opens with, and what to be careful about: computed from the record alone."""

import math
from collections import Counter
from collections.abc import Callable
from enum import IntEnum

from pipeline.reporting import curves
from pipeline.reporting.record import Metric, RunRecord
from pipeline.reporting.words import count, listing, number, percent, plain

FEW_PICTURES = 20
"""Below this many groups of pictures the split holds none out, so nothing can tell learning from copying."""
LEFT = {
    "duplicate": ("duplicate", "duplicates"),
    "rejected": ("rejected", "rejected"),
    "quarantined": ("unreadable", "unreadable"),
    "dropped_by_person": ("dropped by a person", "dropped by a person"),
    "awaiting_review": ("waiting for review", "waiting for review"),
    "forgotten": ("forgotten on request", "forgotten on request"),
    "flagged": ("caption flagged", "captions flagged"),
    "held_out": ("held out", "held out"),
    "mask": ("mask", "masks"),
}
"""How the states of files that were not kept are said, for one file and for more."""


class Harm(IntEnum):
    """What an alert does to somebody who does not read it, the least first."""

    PICTURES_ARE_MISSING = 0
    CANNOT_BE_JUDGED = 1
    LEARNED_WRONGLY = 2
    NOT_TO_BE_USED = 3


Alert = tuple[float, str] | None
"""The share that is touched, 0 to 1, and the sentence that says so."""


def verdict(record: RunRecord) -> str:
    """What was kept of what came in, and whether training helped: one or two sentences."""
    return " ".join(filter(None, (_intake(record), _training(record)))) or "This run left nothing to report."


def tone(record: RunRecord) -> str:
    """Whether the verdict is `good`, `bad` or `neutral` news."""
    if _diverged(record):
        return "bad"
    helped = record.metrics[0].helped if record.metrics else None
    return {True: "good", False: "bad", None: "neutral"}[helped]


def cautions(record: RunRecord) -> tuple[str, ...]:
    """What to be careful about, one sentence each, ranked by harm: first by kind, then by the share that it touches."""
    found = [(harm, *alert) for harm, find in _FINDERS if (alert := find(record))]
    return tuple(sentence for _, _, sentence in sorted(found, key=lambda one: (-one[0], -one[1])))


def came_in(record: RunRecord) -> int:
    """How many files came in."""
    return record.funnel[0].came_in if record.funnel else len(record.ledger)


def kept(record: RunRecord) -> int:
    """How many files went all the way, the held-out ones included."""
    if record.funnel:
        return record.funnel[-1].went_on
    return sum(row.state in ("kept", "held_out") for row in record.ledger)


def held_out(record: RunRecord) -> int:
    """How many files were held out."""
    return sum(row.state == "held_out" for row in record.ledger) or sum(
        row.split == "held_out" for row in record.captions
    )


def states(record: RunRecord) -> Counter[str]:
    """How many files ended in each state, those that went all the way left out."""
    if record.funnel:
        return sum((Counter(dict(step.left)) for step in record.funnel), Counter())
    return Counter(row.state for row in record.ledger if row.state not in ("kept", "held_out"))


def said(state: str, many: int) -> str:
    """A state in words, such as `duplicates` or `unreadable`."""
    return LEFT.get(state, (plain(state), plain(state)))[many != 1]


def _intake(record: RunRecord) -> str:
    if not came_in(record):
        return ""
    aside = held_out(record)
    of_these = f" ({kept(record) - aside:,} to train on, {aside:,} held out)" if aside else ""
    left = [f"{many:,} {said(state, many)}" for state, many in states(record).most_common()]
    why = f"; {listing(left)}" if left else ""
    return f"Kept {kept(record):,} of {count(came_in(record), 'file')}{of_these}{why}."


def _training(record: RunRecord) -> str:
    if _diverged(record):
        return "Training broke down: its loss is no longer a number."
    if record.metrics:
        main = record.metrics[0]
        moved = f"{_name(main)} went from {number(main.before)} to {number(main.after)}{_told(main)}."
        if main.helped is not None:
            return f"Training {'helped' if main.helped else 'made it worse'}: {moved}"
        if main.low is None:
            return f"Whether training helped was not measured in pairs: {moved}"
        if not main.distinguishable:
            return f"Whether training helped cannot be told apart from chance: {moved}"
        return f"Training changed it: {moved}"
    if record.training:
        return f"It trained for {count(record.training[-1].step, 'step')}; whether that helped was not measured."
    return ""


def _told(metric: Metric) -> str:
    """The difference, its interval and which way is better, in brackets."""
    parts = []
    if metric.difference is not None and metric.low is not None and metric.high is not None:
        low, high = number(metric.low, signed=True), number(metric.high, signed=True)
        parts.append(f"{number(metric.difference, signed=True)}, 95 % interval {low} to {high}")
    if metric.higher_is_better is not None:
        parts.append("higher is better" if metric.higher_is_better else "lower is better")
    return f" ({'; '.join(parts)})" if parts else ""


def _name(metric: Metric) -> str:
    return f"{plain(metric.name)} of {metric.of}" if metric.of else plain(metric.name)


def _diverged(record: RunRecord) -> bool:
    return bool(record.training) and not math.isfinite(record.training[-1].loss)


def _sums(record: RunRecord) -> Alert:
    pairs = zip(record.funnel, record.funnel[1:], strict=False)
    lost = sum(abs(before.went_on - after.came_in) for before, after in pairs)
    said = f"{count(lost, 'file')} cannot be accounted for between the stages: a fault in gesso."
    return (1.0, said) if lost else None


def _waiting(record: RunRecord) -> Alert:
    waiting = states(record)["awaiting_review"]
    said = f"{count(waiting, 'file')} wait for a person to read their captions; then run it again."
    return (waiting / max(1, came_in(record)), said) if waiting else None


def _held_out(record: RunRecord) -> Alert:
    trained = record.training or record.evaluations or record.metrics
    if not trained or held_out(record) or any(row.split == "held_out" for row in record.stable_loss):
        return None
    return 1.0, "No picture was held out, so learning cannot be told from copying."


def _overfit(record: RunRecord) -> Alert:
    curve = curves.overall(curves.by_timestep(record.stable_loss)).get("held_out", ())
    if not curve:
        return None
    _, best, last = curves.best_range(curve)
    if last == curve[-1][0]:
        return None
    rise = (1 + curve[-1][1]) / (1 + min(change for _, change in curve)) - 1
    return rise, (
        f"Loss on held-out pictures was lowest at step {best:,} and rose by {percent(rise)} since: "
        "prefer a checkpoint near that step."
    )


def _copies(record: RunRecord) -> Alert:
    near = sum(pair.expected is not None and pair.similarity > pair.expected for pair in record.resemblances)
    if not near:
        return None
    return near / len(record.resemblances), (
        f"{near:,} of {count(len(record.resemblances), 'generated picture')} resemble a training picture more than "
        "unseen pictures do: look whether they are copies."
    )


def _guards(record: RunRecord) -> Alert:
    worse = [_name(metric) for metric in record.metrics[1:] if metric.helped is False]
    return (len(worse) / len(record.metrics), f"Training made {listing(worse)} worse.") if worse else None


def _none(record: RunRecord) -> Alert:
    nothing = came_in(record) and kept(record) == held_out(record)
    return (1.0, "No picture is left to learn from.") if nothing else None


def _few(record: RunRecord) -> Alert:
    learned = kept(record) - held_out(record)
    if not came_in(record) or not 0 < learned < FEW_PICTURES:
        return None
    few = f"Only {count(learned, 'picture')} to learn from: expect copying, and wide intervals."
    return 1 - learned / FEW_PICTURES, few


def _unread(record: RunRecord) -> Alert:
    unread = sum(bool(row.flags) and row.reviewed is None for row in record.captions)
    said = f"{count(unread, 'flagged caption')} went in without anyone having read them."
    return (unread / len(record.captions), said) if unread else None


def _rights(record: RunRecord) -> Alert:
    barred = sum(right.count for right in record.rights if not right.allowed)
    said = f"{count(barred, 'file')} came without an allowed licence and stayed out."
    return (barred / max(1, came_in(record)), said) if barred else None


def _unreadable(record: RunRecord) -> Alert:
    broken = states(record)["quarantined"]
    return (broken / max(1, came_in(record)), f"{count(broken, 'file')} could not be read.") if broken else None


def _greedy_rule(record: RunRecord) -> Alert:
    reasons = Counter(row.reason for row in record.ledger if row.state == "rejected" and row.reason)
    if not reasons:
        return None
    reason, many = reasons.most_common(1)[0]
    share = many / came_in(record)
    if share <= 0.5:
        return None
    return share, f"One rule, {plain(reason)}, took {percent(share)} of all files: check its limit."


_FINDERS: tuple[tuple[Harm, Callable[[RunRecord], Alert]], ...] = (
    *((Harm.NOT_TO_BE_USED, find) for find in (_sums, _none, _copies)),
    *((Harm.LEARNED_WRONGLY, find) for find in (_overfit, _guards, _unread)),
    *((Harm.CANNOT_BE_JUDGED, find) for find in (_held_out, _few)),
    *((Harm.PICTURES_ARE_MISSING, find) for find in (_greedy_rule, _waiting, _rights, _unreadable)),
)
