"""How measured values are spread: histograms whose bars open their pictures, and what a set is one-sided in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from pipeline.reporting.charts import picture, tag
from pipeline.reporting.words import count, number

BINS = 12
SHOWN = 3
"""Pictures that a bar opens."""
_WIDTH, _HEIGHT, _FOOT = 480, 110, 18


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: values from `low` to below `high`, how many pictures have one, and some of them."""

    low: float
    high: float
    count: int
    refused: bool
    """Whether its middle is beyond a limit that holds."""
    examples: Sequence[str]
    """Sample ids, those nearest to the middle of the bar first."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """The values of one column."""

    column: str
    about: str
    """What is measured, with unit and range."""
    bars: Sequence[Bar]
    limit: str
    """The limit that holds, in words; empty where there is none."""


@dataclass(frozen=True, slots=True)
class Spread:
    """How pictures are spread over what one property can be: pictures by label, and the effective number of labels."""

    name: str
    counts: Mapping[str, int]
    effective: float


@dataclass(frozen=True, slots=True)
class Variety:
    """How the pictures that stayed are spread over what they can be, and what of it is one-sided."""

    spreads: Sequence[Spread]
    terms: Sequence[tuple[str, int]] = ()
    """Words of most captions, and in how many each stands."""
    advice: Sequence[str] = ()
    """A sentence each, the most one-sided first."""


def histogram(
    column: str, about: str, values: Mapping[str, float], *, least: float | None = None, most: float | None = None
) -> Histogram:
    """The histogram of values by sample id, of finite ones alone.

    The outermost hundredth of the values to either side shares the first or last bar, so that a single far one does
    not press all others into one. A limit that lies among the values is an edge.
    """
    ids = [one for one, value in values.items() if np.isfinite(value)]
    numbers = np.array([values[one] for one in ids], np.float64)
    if not len(numbers):
        return Histogram(column, about, (), _limit(least, most))
    low, high = (float(one) for one in np.quantile(numbers, (0.01, 0.99)))
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    for bound in (least, most):
        if bound is not None and edges[0] < bound < edges[-1]:
            edges[1 + np.abs(edges[1:-1] - bound).argmin()] = bound
    places = np.clip(np.searchsorted(edges, numbers, "right") - 1, 0, BINS - 1)
    edges[0], edges[-1] = min(edges[0], numbers.min()), max(edges[-1], numbers.max())
    bars = []
    for place, (start, end) in enumerate(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)):
        inside = np.flatnonzero(places == place)
        middle = (start + end) / 2
        order = sorted(inside.tolist(), key=lambda one: (abs(numbers[one] - middle), ids[one]))
        refused = (least is not None and middle < least) or (most is not None and middle > most)
        bars.append(Bar(start, end, len(inside), refused, [ids[one] for one in order[:SHOWN]]))
    return Histogram(column, about, bars, _limit(least, most))


def chart(shown: Histogram) -> Markup:
    """The bars as a drawing; each is a link to `#<anchor>` of its pictures."""
    tallest = max((one.count for one in shown.bars), default=0) or 1
    wide = _WIDTH / max(1, len(shown.bars))
    parts = [tag("title", f"{shown.column}: pictures by value")]
    for place, one in enumerate(shown.bars):
        high = max(2.0 if one.count else 0.0, (_HEIGHT - _FOOT) * one.count / tallest)
        told = f"{number(one.low)} to {number(one.high)}: {count(one.count, 'picture')}"
        kind = "bar rejected" if one.refused else "bar"
        drawn = tag("title", told) + tag(
            "rect", kind=kind, x=place * wide + 1, y=_HEIGHT - _FOOT - high, width=wide - 2, height=high
        )
        parts.append(tag("a", drawn, href=f"#{anchor(shown, place)}", aria_label=told))
    ends = (shown.bars[0].low, shown.bars[-1].high) if shown.bars else (0.0, 0.0)
    parts.append(tag("text", number(ends[0]), kind="tick", x=1, y=_HEIGHT - 4))
    parts.append(tag("text", number(ends[1]), kind="tick end", x=_WIDTH - 1, y=_HEIGHT - 4))
    return picture(parts, "chart", _WIDTH, _HEIGHT)


def anchor(shown: Histogram, place: int) -> str:
    """Where the pictures of a bar stand on the page."""
    return f"{shown.column.replace('__', '-')}-{place}"


def _limit(least: float | None, most: float | None) -> str:
    bounds = ((least, "at least"), (most, "at most"))
    return " and ".join(f"{word} {number(bound)}" for bound, word in bounds if bound is not None)
