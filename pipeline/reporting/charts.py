"""Charts as SVG, drawn without a library: they follow the page's colours, print, and are read out by a screen reader.

Colour comes from the page's style sheet (classes `series-1` to `series-4`), so that one drawing serves light and dark;
dashes tell the lines apart where colour cannot.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from pipeline.reporting.words import number

MOST_POINTS = 600
"""Points drawn of a line; beyond, the lowest and the highest of each stretch stand for it."""
LARGEST = 1e100
"""Values beyond are drawn no more than infinite ones are."""
_CHARACTER = 6.6
"""Mean width, in pixels, of a character of the 12-pixel labels in common system fonts."""

Points = Sequence[tuple[float, float]]
"""(x, y) pairs in order of x."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart; points that are not finite leave a gap."""

    name: str
    points: Points
    series: int = 1
    """Its colour and dash, 1 to 4."""
    faint: bool = False
    """Drawn thin and pale, behind the others: the raw values of a smoothed line."""
    marked: bool = False
    """Whether every point gets a dot."""


@dataclass(frozen=True, slots=True)
class Band:
    """A shaded stretch of x."""

    name: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Frame:
    """The drawing area: its edges in pixels, and the range of values that it spans."""

    left: float
    top: float
    right: float
    bottom: float
    x: tuple[float, float]
    y: tuple[float, float]

    def across(self, x: float) -> float:
        """Where a value of x lies, pixels."""
        return self.left + (x - self.x[0]) / (self.x[1] - self.x[0]) * (self.right - self.left)

    def down(self, y: float) -> float:
        """Where a value of y lies, pixels."""
        return self.bottom - (y - self.y[0]) / (self.y[1] - self.y[0]) * (self.bottom - self.top)


def line_chart(
    lines: Sequence[Line],
    *,
    title: str,
    description: str,
    x_label: str,
    y_label: str,
    size: tuple[int, int] = (480, 260),
    y_range: tuple[float, float] | None = None,
    band: Band | None = None,
    zero: bool = False,
    label: Callable[[float], str] = number,
) -> Markup:
    """A line chart with axes, ticks, labels and a legend.

    Args:
        lines: what to draw; without one finite point the chart says that there is nothing to draw.
        title: names the chart for a screen reader.
        description: what it shows, in a sentence with its main figures, for those who cannot see it.
        x_label: name of the horizontal axis.
        y_label: name of the vertical axis, written above it.
        size: width and height, pixels; the page scales it.
        y_range: lowest and highest value of y; by default what the lines need.
        band: a stretch of x to shade.
        zero: whether a rule marks y = 0, and the axis holds it.
        label: how a value of y is written.
    """
    finite = [point for line in lines for point in line.points if _finite(point)]
    if not finite:
        return Markup('<p class="empty">{}: no finite value to draw.</p>').format(title)
    xs, ys = [x for x, _ in finite], [y for _, y in finite]
    low, high = y_range or (min(ys), max(ys))
    y_ticks = ticks(min(low, 0.0), max(high, 0.0), at_most=6) if zero else ticks(low, high, at_most=6)
    width, height = size
    frame = Frame(
        left=14 + _CHARACTER * max(len(label(tick)) for tick in y_ticks),
        top=54,
        right=width - 16,
        bottom=height - 40,
        x=(min(xs), max(xs) if max(xs) > min(xs) else min(xs) + 1),
        y=(y_ticks[0], y_ticks[-1]),
    )
    parts = [
        tag("title", title),
        tag("desc", description),
        tag("text", y_label, kind="axis-name", x=2, y=38),
        _legend(lines, band, width),
    ]
    if band:
        start, end = frame.across(band.start) - 3, frame.across(band.end) + 3
        parts.append(tag("rect", kind="band", x=start, y=frame.top, width=end - start, height=frame.bottom - frame.top))
    for tick in y_ticks:
        y = frame.down(tick)
        kind = "zero" if zero and tick == 0 else "grid"
        parts.append(tag("line", kind=kind, x1=frame.left, x2=frame.right, y1=y, y2=y))
        parts.append(tag("text", label(tick), kind="tick end", x=frame.left - 6, y=y + 4))
    parts += [
        tag("text", number(tick), kind="tick middle", x=frame.across(tick), y=frame.bottom + 17)
        for tick in ticks(*frame.x, at_most=max(3, width // 90), whole=True)
        if frame.x[0] <= tick <= frame.x[1]
    ]
    parts.append(tag("text", x_label, kind="axis-name end", x=frame.right, y=height - 5))
    parts += [_line(line, frame) for line in sorted(lines, key=lambda line: not line.faint)]
    return picture(parts, "chart", width, height, role="img", aria_label=f"{title}. {description}")


def interval_mark(difference: float, low: float, high: float, *, tone: str) -> Markup:
    """A dot for a difference, a bar for its interval and a rule for 0; `tone` is a class: good, bad or neutral."""
    width, reach = 132, max(abs(low), abs(high), abs(difference)) * 1.1 or 1.0
    start, end, middle = (width / 2 * (1 + value / reach) for value in (low, high, difference))
    parts = [
        tag("line", kind="zero", x1=width / 2, x2=width / 2, y1=1, y2=17),
        tag("line", kind="reach", x1=start, x2=end, y1=9, y2=9),
        tag("circle", cx=middle, cy=9, r=4),
    ]
    return picture(parts, f"interval {tone}", width, 18, aria_hidden="true")


def share_bar(parts: Sequence[tuple[str, int]], total: int) -> Markup:
    """A bar of (class, count) parts laid end to end; its whole width stands for `total`."""
    width, x, drawn = 240, 0.0, []
    for kind, amount in parts:
        wide = width * amount / max(total, 1)
        drawn.append(tag("rect", kind=kind, x=x, y=0, width=wide, height=14))
        x += wide
    return picture(drawn, "share", width, 14, aria_hidden="true", preserveAspectRatio="none")


def ticks(low: float, high: float, *, at_most: int, whole: bool = False) -> list[float]:
    """Round numbers from at or below `low` to at or above `high`: steps of 1, 2 or 5 times a power of ten.

    After Heckbert, "Nice numbers for graph labels", Graphics Gems (1990). `whole` keeps them to whole numbers.
    """
    if not high - low > max(1e-12 * max(abs(low), abs(high)), 1 / LARGEST):
        low, high = low - (abs(low) * 0.1 or 0.5), high + (abs(high) * 0.1 or 0.5)
    rough = (high - low) / max(at_most - 1, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor for factor in (1, 2, 5, 10) if rough <= factor * power * (1 + 1e-9)) * power
    step = max(step, 1.0) if whole else step
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{index * step:.12g}") for index in range(first, last + 1)]


def thin(points: Points, *, at_most: int = MOST_POINTS) -> list[tuple[float, float]]:
    """At most about `at_most` points that draw the same outline: the lowest and the highest of each stretch."""
    if len(points) <= at_most:
        return list(points)
    stretch = math.ceil(2 * len(points) / at_most)
    kept: list[tuple[float, float]] = []
    for start in range(0, len(points), stretch):
        piece = points[start : start + stretch]
        kept += sorted({min(piece, key=lambda point: point[1]), max(piece, key=lambda point: point[1])})
    return kept


def _finite(point: tuple[float, float]) -> bool:
    return abs(point[0]) < LARGEST and abs(point[1]) < LARGEST  # false for what is no number, too


def _kind(line: Line) -> str:
    return f"series-{line.series}{' faint' if line.faint else ''}"


def _line(line: Line, frame: Frame) -> Markup:
    pieces: list[list[tuple[float, float]]] = [[]]
    for point in line.points:
        if _finite(point):
            pieces[-1].append(point)
        else:
            pieces.append([])
    kind, drawn = _kind(line), []
    for piece in filter(None, pieces):
        places = [(frame.across(x), frame.down(y)) for x, y in thin(piece)]
        drawn.append(tag("polyline", kind=kind, points=" ".join(f"{x:.1f},{y:.1f}" for x, y in places)))
        if line.marked or len(piece) == 1:
            drawn += [tag("circle", kind=kind, cx=x, cy=y, r=3.2) for x, y in places]
    return Markup("").join(drawn)


def _legend(lines: Sequence[Line], band: Band | None, width: int) -> Markup:
    """Keys from left to right; one that finds no room is left to the description."""
    entries = [(line.name, _kind(line)) for line in lines if line.name]
    entries += [(band.name, "band")] if band else []
    x, drawn = 2.0, []
    for name, kind in entries:
        room = 42 + _CHARACTER * len(name)
        if x + room > width + 16:
            break
        if kind == "band":
            drawn.append(tag("rect", kind=kind, x=x, y=6, width=20, height=12))
        else:
            drawn.append(tag("line", kind=kind, x1=x, x2=x + 20, y1=12, y2=12))
        drawn.append(tag("text", name, kind="key", x=x + 26, y=16))
        x += room
    return Markup("").join(drawn)


def picture(parts: Sequence[Markup], kind: str, width: int, height: int, **attributes: str) -> Markup:
    """A whole drawing of a kind (its class), its size in pixels."""
    return tag(
        "svg",
        Markup("").join(parts),
        kind=kind,
        viewBox=f"0 0 {width} {height}",
        width=width,
        height=height,
        **attributes,
    )


def tag(name: str, content: str = "", *, kind: str = "", **attributes: float | str) -> Markup:
    """An element whose texts are escaped; `kind` is its class, and an underscore in a name stands for a hyphen."""
    given = {"class": kind, **attributes} if kind else attributes
    written = Markup("").join(
        Markup(' {}="{}"').format(key.replace("_", "-"), f"{value:.1f}" if isinstance(value, float) else value)
        for key, value in given.items()
    )
    return Markup("<{0}{1}>{2}</{0}>").format(name, written, content)
