import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.starter import drawing, pictures, quality

angles = st.floats(-3.2, 3.2)


@given(shape=st.sampled_from(pictures.SHAPES), angle=angles, radius=st.floats(8, 60), x=st.floats(70, 130))
def test_an_outline_lies_within_its_radius_around_its_centre(shape, angle, radius, x):
    polygons = drawing.outline(shape, (x, 90.0), radius, angle)
    for polygon in polygons:
        reach = np.linalg.norm(polygon - np.array([x, 90.0]), axis=1).max()
        assert reach <= radius * np.sqrt(2) + 1
    assert max(np.linalg.norm(polygon - np.array([x, 90.0]), axis=1).max() for polygon in polygons) >= radius * 0.9


def test_shapes_are_told_apart():
    masks = {}
    for shape in pictures.SHAPES:
        mask = np.zeros((64, 64), np.uint8)
        cv2.fillPoly(mask, drawing.outline(shape, (32.0, 32.0), 24, 0.0), 1)
        masks[shape] = mask.astype(bool)
    for one, first in masks.items():
        for other, second in masks.items():
            overlap = (first & second).sum() / (first | second).sum()
            assert (overlap == 1) == (one == other)
            assert one == other or overlap < 0.92, (one, other)


def test_a_ring_has_a_hole():
    image = np.full((64, 64, 3), 255, np.uint8)
    drawing.paint(image, "ring", "flat", center=(32.0, 32.0), radius=24.0, angle=0.0, color=(10, 20, 30))
    assert (image[32, 32] == 255).all()
    assert tuple(image[32, 14]) == (10, 20, 30)


@given(angle=angles)
def test_turning_keeps_the_area(angle):
    def area(turned):
        image = np.zeros((96, 96), np.uint8)
        cv2.fillPoly(image, drawing.outline("cross", (48.0, 48.0), 40, turned), 1)
        return int(image.sum())

    assert area(angle) == pytest.approx(area(0.0), rel=0.06)


def painted(style):
    image = np.full((96, 96, 3), 128, np.uint8)
    drawing.paint(image, "square", style, center=(48.0, 48.0), radius=30.0, angle=0.0, color=(200, 40, 40))
    return image


def test_styles_paint_what_they_are_called():
    flat, outlined, shaded, chalk = (painted(style) for style in ("flat", "outlined", "shaded", "chalk"))
    inside = np.s_[28:68, 28:68]
    assert (flat[inside] == (200, 40, 40)).all()
    assert (outlined[inside] == (200, 40, 40)).all()
    assert np.abs(outlined[48, 20:24].astype(int) - (26, 26, 28)).min() < 10
    rows = shaded[inside].mean(axis=(1, 2))
    assert (np.diff(rows) <= 0.5).all()
    assert rows[0] - rows[-1] > 20
    share = (chalk[inside] == (200, 40, 40)).all(axis=2).mean()
    assert 0.2 < share < 0.5
    for image in (flat, outlined, shaded, chalk):
        assert (image[:8] == 128).all()


@given(color=st.sampled_from(sorted(drawing.COLORS)), seed=st.integers(0, 10_000))
def test_a_shade_is_still_its_colour(color, seed):
    shaded = drawing.shade(drawing.COLORS[color], np.random.default_rng(seed))
    assert max(abs(a - b) for a, b in zip(shaded, drawing.COLORS[color], strict=True)) <= 9
    assert all(0 <= value <= 255 for value in shaded)
    assert quality.nearest_colors(np.array([shaded], np.float64)) == [color]


@pytest.mark.parametrize("name", pictures.SUBJECTS)
def test_a_subject_is_painted_where_it_is_asked_for(name):
    image = np.full((128, 128, 3), 200, np.uint8)
    drawing.SUBJECT_PAINTERS[name](image, (40.0, 80.0), 24.0)
    down, across = np.nonzero((image != 200).any(axis=2))
    assert 40 - 30 <= across.min() < across.max() <= 40 + 30
    assert 80 - 32 <= down.min() < down.max() <= 80 + 32


def test_every_subject_has_a_painter_and_every_shape_an_outline():
    assert set(drawing.SUBJECT_PAINTERS) == set(pictures.SUBJECTS)
    assert not set(pictures.SUBJECTS) & set(pictures.SHAPES)
    assert set(drawing._UNIT) == set(pictures.SHAPES)
