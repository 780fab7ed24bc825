"""Parallel coordinates: an axis for each setting and one for the value, and a line through them for each trial."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from pipeline.reporting.charts import picture, tag
from pipeline.reporting.words import number


@dataclass(frozen=True, slots=True)
class Axis:
    """One setting: its name, what each line has there (None: nothing), and whether it is drawn by order of magnitude.

    Values are numbers, or anything else that is then laid out as choices in the order of `choices`.
    """

    name: str
    values: Sequence[Any]
    log: bool = False
    choices: Sequence[Any] = ()

    @property
    def places(self) -> list[float | None]:
        """Where each value lies, from 0 (bottom) to 1 (top)."""
        if self.choices:
            most = max(1, len(self.choices) - 1)
            return [self.choices.index(one) / most if one in self.choices else None for one in self.values]
        scaled = [None if one is None else self._scale(one) for one in self.values]
        low, high = self._ends
        return [None if one is None else (one - low) / (high - low) if high > low else 0.5 for one in scaled]

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """(place, label) pairs."""
        if self.choices:
            most = max(1, len(self.choices) - 1)
            return [(place / most, said(one)) for place, one in enumerate(self.choices)]
        low, high = self._ends
        if high <= low:
            return [(0.5, number(self._back(low)))]
        return [(place, number(self._back(low + place * (high - low)))) for place in (0.0, 0.5, 1.0)]

    @property
    def _ends(self) -> tuple[float, float]:
        found = [self._scale(one) for one in self.values if one is not None]
        return (min(found), max(found)) if found else (0.0, 0.0)

    def _scale(self, value: float) -> float:
        return math.log10(value) if self.log else float(value)

    def _back(self, scaled: float) -> float:
        return 10**scaled if self.log else scaled


def parallel_chart(axes: Sequence[Axis], kinds: Sequence[str], *, title: str, description: str) -> Markup:
    """The chart; `kinds` says of each line whether it is `best`, `good` or `other`, drawn in front in that order.

    A line breaks where its trial has no value.
    """
    width, height, top, bottom, side = max(480, 190 * len(axes)), 300, 40, 272, 70
    gap = (width - 2 * side) / max(1, len(axes) - 1)
    xs = [side + gap * place for place in range(len(axes))]
    places = [axis.places for axis in axes]
    parts = [tag("title", title), tag("desc", description)]
    for kind in ("other", "good", "best"):
        for line in [place for place, one in enumerate(kinds) if one == kind]:
            points = [(x, at[line]) for x, at in zip(xs, places, strict=True)]
            drawn = [f"{x:.1f},{bottom - y * (bottom - top):.1f}" for x, y in points if y is not None]
            parts.append(tag("polyline", kind=f"trial {kind}", points=" ".join(drawn)))
    for x, axis in zip(xs, axes, strict=True):
        parts.append(tag("line", kind="zero", x1=x, x2=x, y1=top, y2=bottom))
        parts.append(tag("text", axis.name, kind="axis-name middle", x=x, y=22))
        for place, label in axis.ticks:
            y = bottom - place * (bottom - top)
            parts.append(tag("line", kind="zero", x1=x - 3, x2=x + 3, y1=y, y2=y))
            parts.append(tag("text", label, kind="tick end halo", x=x - 7, y=y + 4))
    return picture(parts, "chart wide", width, height, role="img", aria_label=f"{title}. {description}")


def said(value: Any) -> str:  # noqa: ANN401 (whatever a setting holds)
    """A setting's value in few characters."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number(value)
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
