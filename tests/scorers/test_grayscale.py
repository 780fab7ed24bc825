import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.imaging import decode
from pipeline.scorers import grayscale
from pipeline.starter import defects
from pipeline.starter.pictures import picture

LIMIT = grayscale.LIMITS["grayscale__color"]["min"]


def color(data):
    return grayscale.measure(decode(data), grayscale.Params())["grayscale__color"]


def toned(seed, exponents):
    """A picture's luma with a curve of its own for each channel: sepia, selenium, a blueprint."""
    luma = picture(seed, side=256).pixels @ np.array([0.299, 0.587, 0.114]) / 255
    return np.round(255 * luma[..., None] ** np.array(exponents)).astype(np.uint8)


@settings(max_examples=15)
@given(seed=st.integers(0, 500), warm=st.floats(0.75, 1.35), quality=st.integers(60, 95))
def test_black_and_white_and_toned_pictures_have_no_colour(seed, warm, quality):
    assert color(defects.encoded(toned(seed, (1, 1, 1)), "BMP")) < 0.6
    assert color(defects.encoded(toned(seed, (warm, 1, 1 / warm)), "JPEG", quality=quality)) < LIMIT


def test_noise_of_a_sensor_is_no_colour_to_see():
    grey = toned(1, (1, 1, 1)) + np.random.default_rng(0).normal(0, 1, (256, 256, 3))
    assert color(defects.encoded(np.clip(grey, 0, 255).astype(np.uint8), "BMP")) < LIMIT


def test_sepia_is_no_colour_and_two_colours_are():
    luma = picture(3, side=256).pixels @ np.array([0.299, 0.587, 0.114])
    sepia = np.clip(luma[..., None] * (1.35, 1.2, 0.93), 0, 255).astype(np.uint8)
    assert color(defects.encoded(sepia, "BMP")) < LIMIT
    heart = np.full((256, 256, 3), 255, np.uint8)
    heart[100:130, 100:130] = (255, 150, 20)
    assert color(defects.encoded(heart, "BMP")) > 2 * LIMIT


def test_a_small_red_thing_in_a_grey_scene_is_colour():
    grey = toned(2, (1, 1, 1))
    grey[100:140, 100:140] = (200, 40, 40)
    assert color(defects.encoded(grey, "BMP")) > 2 * LIMIT


def test_colour_is_measured_as_it_is_spread():
    halves = np.zeros((256, 256, 3), np.uint8)
    halves[:, :128], halves[:, 128:] = (150, 100, 100), (79, 130, 100)
    halves = halves + np.random.default_rng(0).integers(-60, 60, (256, 256, 1))  # or lightness would tell the colour
    ycc = np.array([(-0.1687, -0.3313, 0.5), (0.5, -0.4187, -0.0813)]) @ np.array([(150, 100, 100), (79, 130, 100)]).T
    spread = np.sqrt((np.ptp(ycc, axis=1) ** 2).sum()) / 2
    assert color(defects.encoded(halves.astype(np.uint8), "BMP")) == pytest.approx(spread, rel=0.1)


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (400, 1), (3, 3)])
def test_pictures_of_any_size_are_measured(shape):
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert 0 <= color(defects.encoded(noise, "BMP")) <= 182
