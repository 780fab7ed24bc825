import math
import re
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.reporting.charts import Band, Frame, Line, interval_mark, line_chart, share_bar, thin, ticks

numbers = st.floats(-1e9, 1e9)
TEXTS = {"title": "Loss", "description": "It falls.", "x_label": "step", "y_label": "loss"}


def drawn(lines, **options) -> ET.Element:
    return ET.fromstring(str(line_chart(lines, **{**TEXTS, **options})))  # noqa: S314 - our own SVG


@given(numbers, numbers, st.integers(3, 10))
def test_ticks_cover_the_range_in_even_round_steps(one, other, at_most):
    low, high = min(one, other), max(one, other)
    found = ticks(low, high, at_most=at_most)
    slack = 1e-6 * max(1.0, abs(low), abs(high))
    assert found[0] <= low + slack
    assert found[-1] >= high - slack
    assert 2 <= len(found) <= at_most + 2
    step = found[1] - found[0]
    assert all(math.isclose(b - a, step, rel_tol=1e-4, abs_tol=1e-9) for a, b in pairwise(found))


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (0, 100, [0, 20, 40, 60, 80, 100]), (-0.19, 0, [-0.2, -0.15, -0.1, -0.05, 0])],
)
def test_ticks_are_the_ones_a_person_would_choose(low, high, expected):
    assert ticks(low, high, at_most=6) == expected


def test_whole_ticks_do_not_split_a_step():
    assert ticks(0, 2, at_most=6, whole=True) == [0, 1, 2]


@given(st.lists(numbers, min_size=1, max_size=3000))
def test_thinning_keeps_the_outline(values):
    points = list(enumerate(values))
    kept = thin(points, at_most=100)
    assert len(kept) <= max(100, 2) + 2
    assert {min(values), max(values)} <= {y for _, y in kept}
    assert kept == sorted(kept)
    assert set(kept) <= set(points)


def test_a_frame_maps_its_corners():
    frame = Frame(left=10, top=20, right=110, bottom=220, x=(0, 50), y=(-1, 1))
    assert (frame.across(0), frame.across(50)) == (10, 110)
    assert (frame.down(-1), frame.down(1), frame.down(0)) == (220, 20, 120)


def test_a_chart_has_title_description_axes_and_legend():
    svg = drawn([Line("held-out", [(0, 1.0), (10, 0.5)])], band=Band("best", 5, 10))
    assert svg.get("role") == "img"
    assert svg.get("aria-label") == "Loss. It falls."
    assert [svg.findtext(name) for name in ("title", "desc")] == ["Loss", "It falls."]
    texts = [text.text for text in svg.iter("text")]
    assert {"step", "loss", "held-out", "best", "0.5", "1", "10"} <= set(texts)


def test_points_lie_where_their_values_are():
    svg = drawn([Line("a", [(0, 0.0), (5, 0.5), (10, 1.0)])])
    points = [tuple(map(float, point.split(","))) for point in svg.find("polyline").get("points").split()]
    (x0, y0), (x1, y1), (x2, y2) = points
    assert x1 == pytest.approx((x0 + x2) / 2, abs=0.1)
    assert y1 == pytest.approx((y0 + y2) / 2, abs=0.1)
    assert y2 < y0


def test_what_is_no_number_leaves_a_gap():
    svg = drawn([Line("a", [(0, 1.0), (1, 2.0), (2, math.nan), (3, 1.0), (4, 3.0)])])
    assert len(svg.findall("polyline")) == 2


@pytest.mark.parametrize("points", [[], [(0, math.nan)], [(0, math.inf), (1, -math.inf)]])
def test_a_chart_without_a_number_says_so(points):
    assert "no finite value" in line_chart([Line("a", points)], **TEXTS)


@given(st.lists(st.tuples(st.integers(0, 10**6), st.floats()), max_size=20).map(sorted))
def test_no_values_break_a_chart(points):
    chart = line_chart([Line("a", points, marked=True)], **TEXTS)
    assert not re.search(r'"(nan|inf|-inf)', chart)
    ET.fromstring(str(chart))  # noqa: S314 - our own SVG


def test_hostile_names_stay_text():
    name = "</svg><script>alert(1)</script>\" onload='x'"
    svg = drawn([Line(name, [(0, 0), (1, 1)])], title=name)
    assert svg.findtext("title") == name
    assert not list(svg.iter("script"))


def test_an_interval_is_drawn_about_zero():
    svg = ET.fromstring(str(interval_mark(0.2, -0.1, 0.5, tone="neutral")))  # noqa: S314 - our own SVG
    zero, reach = svg.findall("line")
    assert float(reach.get("x1")) < float(zero.get("x1")) < float(reach.get("x2"))
    assert float(svg.find("circle").get("cx")) > float(zero.get("x1"))
    assert svg.get("class") == "interval neutral"


def test_an_interval_of_nothing_is_drawn_too():
    assert "nan" not in interval_mark(0.0, 0.0, 0.0, tone="neutral")


def test_the_parts_of_a_bar_add_up():
    svg = ET.fromstring(str(share_bar([("on", 6), ("rejected", 2)], 16)))  # noqa: S314 - our own SVG
    widths = [float(part.get("width")) for part in svg]
    assert widths == [90.0, 30.0]
    assert float(svg[1].get("x")) == 90.0
    assert "nan" not in share_bar([], 0)
