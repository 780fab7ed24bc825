"""Numbers, times, counts and long lists as a person reads them."""

import math
from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


def number(value: float, *, signed: bool = False) -> str:
    """Three significant digits, or all of them for whole numbers: `0.0821`, `12,340`, `1e-05`."""
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else ("infinity" if value > 0 else "-infinity")
    if value == round(value) and abs(value) < 1e15:
        return f"{round(value):+,}" if signed and value else f"{round(value):,}"
    if abs(value) >= 1000:
        return f"{value:+,.0f}" if signed else f"{value:,.0f}"
    return f"{value:+.3g}" if signed else f"{value:.3g}"


def percent(share: float, *, signed: bool = False) -> str:
    """A share of 1 as a percentage: `12 %`, and `0.4 %` below ten."""
    shown = round(100 * share, 0 if abs(share) >= 0.1 else 1) + 0.0  # the sum turns -0.0 into 0.0
    return f"{shown:{'+' if signed and shown else ''}g} %"


def count(amount: int, noun: str, plural: str = "") -> str:
    """`1 file`, `12,340 files`."""
    return f"{amount:,} {noun if amount == 1 else plural or noun + 's'}"


def listing(parts: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def duration(seconds: float) -> str:
    """`0.42 s`, `12 s`, `3 min 05 s`, `2 h 07 min`."""
    if seconds < 10:
        return f"{seconds:.2g} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def memory(mib: float) -> str:
    """`640 MiB`, `12.4 GiB`."""
    return f"{mib:.0f} MiB" if mib < 1024 else f"{mib / 1024:.1f} GiB"


def plain(name: str) -> str:
    """A column's or a state's name in words: `sharpness__score` becomes `sharpness: score`."""
    return name.replace("__", ": ").replace("_", " ")


def spread(items: Sequence[Item], at_most: int) -> list[Item]:
    """At most `at_most` of the items, evenly spread, the first and the last among them."""
    if len(items) <= at_most:
        return list(items)
    return [items[round(index * (len(items) - 1) / (at_most - 1))] for index in range(at_most)]
