import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.starter import drawing
from pipeline.starter.scene import COLORS, KEPT_OUT_STYLES, SHAPES, STYLES

angles = st.floats(-3.2, 3.2)


@given(shape=st.sampled_from(SHAPES), angle=angles, radius=st.floats(8, 60), x=st.floats(70, 130))
def test_an_outline_lies_within_its_radius_around_its_centre(shape, angle, radius, x):
    polygons = drawing.outline(shape, (x, 90.0), radius, angle)
    for polygon in polygons:
        reach = np.linalg.norm(polygon - np.array([x, 90.0]), axis=1).max()
        assert reach <= radius * np.sqrt(2) + 1
    assert max(np.linalg.norm(polygon - np.array([x, 90.0]), axis=1).max() for polygon in polygons) >= radius * 0.9


def test_shapes_are_told_apart():
    masks = {}
    for shape in SHAPES:
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


def painted(style, *, shape="square", color=(200, 40, 40), ground=128):
    image = np.full((96, 96, 3), ground, np.uint8)
    drawing.paint(image, shape, style, center=(48.0, 48.0), radius=30.0, angle=0.0, color=color)
    return image


INSIDE = np.s_[28:68, 28:68]


def test_flat_and_outlined():
    flat, outlined = painted("flat"), painted("outlined")
    assert (flat[INSIDE] == (200, 40, 40)).all()
    assert (outlined[INSIDE] == (200, 40, 40)).all()
    assert np.abs(outlined[48, 20:24].astype(int) - drawing.INK).min() < 10


def test_an_outline_stands_out_from_what_it_surrounds():
    for name, color in COLORS.items():
        line = painted("outlined", color=color)[48, 20:24].astype(int)
        assert np.abs(line - color).sum(axis=1).max() > 150, name


def test_shaded_falls_from_light_to_dark():
    shaded = painted("shaded")
    rows = shaded[INSIDE].mean(axis=(1, 2))
    assert (np.diff(rows) <= 0.5).all()
    assert rows[0] - rows[-1] > 20


def test_a_shadow_falls_to_the_lower_right():
    shadowed = painted("shadowed")
    assert (shadowed[INSIDE] == (200, 40, 40)).all()
    dark = (shadowed < 100).all(axis=2)
    down, across = np.nonzero(dark)
    assert dark.sum() > 150
    assert across.max() > 75
    assert down.max() > 75
    assert min(across.min(), down.min()) > 20


def test_chalk_is_hatched():
    share = (painted("chalk")[INSIDE] == (200, 40, 40)).all(axis=2).mean()
    assert 0.2 < share < 0.5


def test_mosaic_is_of_tiles_with_gaps():
    inside = (painted("mosaic")[INSIDE] == (200, 40, 40)).all(axis=2)
    assert 0.5 < inside.mean() < 0.9
    assert (~inside).all(axis=0).any()
    assert (~inside).all(axis=1).any()


@pytest.mark.parametrize("style", [*STYLES, *KEPT_OUT_STYLES])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_seen_in_every_style_and_leaves_the_rest_alone(shape, style):
    image = painted(style, shape=shape)
    changed = (image != 128).any(axis=2)
    assert 0.05 < changed.mean() < 0.6
    assert (image[:8] == 128).all()
    assert (image[:, :8] == 128).all()


@given(color=st.sampled_from(sorted(COLORS)), seed=st.integers(0, 10_000))
def test_a_shade_is_still_its_colour(nearest, color, seed):
    shaded = drawing.shade(COLORS[color], np.random.default_rng(seed))
    assert max(abs(a - b) for a, b in zip(shaded, COLORS[color], strict=True)) <= 9
    assert all(0 <= value <= 255 for value in shaded)
    assert nearest(np.array([shaded], np.float64)) == [color]


def test_every_shape_has_an_outline():
    assert set(drawing._UNIT) == set(SHAPES)
