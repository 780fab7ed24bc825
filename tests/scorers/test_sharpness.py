import io
import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.imaging import decode
from pipeline.scorers import sharpness
from pipeline.starter.pictures import picture

PHOTOS = sorted((Path(__file__).parents[3] / "shared" / "photos").glob("*/0[0-2].jpg"))


def score(pixels, **params):
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels, np.uint8)).save(out, "BMP")
    return sharpness.measure(decode(out.getvalue()), sharpness.Params(**params))["sharpness__score"]


def blurred(pixels, sigma):
    return cv2.GaussianBlur(pixels, (0, 0), sigma) if sigma else pixels


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([64, 128, 256]))
def test_more_blur_is_less_sharp_on_drawn_scenes(seed, side):
    pixels = picture(seed, side=side).pixels
    scores = [score(blurred(pixels, sigma)) for sigma in (0, 1, 2, 3)]
    # at 64 px a thing may blur into nothing, and the ground's grain is what remains
    assert all(later <= earlier + 0.01 for earlier, later in itertools.pairwise(scores))
    assert scores[0] > 0.7
    assert scores[-1] < 0.8 * scores[0]


def test_edges_between_colours_of_equal_luma_count():
    pixels = np.full((200, 200, 3), (200, 0, 0), np.uint8)
    pixels[60:140, 60:140] = (0, 102, 0)
    assert len(np.unique(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))) == 1
    assert score(pixels) > 0.95
    assert score(blurred(pixels, 4)) < 0.3


@pytest.mark.skipif(not PHOTOS, reason="the photographs are not here")
@pytest.mark.parametrize("path", PHOTOS[::3], ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_more_blur_is_less_sharp_on_photographs(path):
    proxy = decode(path.read_bytes()).proxy
    scores = [score(blurred(proxy, sigma)) for sigma in (0, 0.5, 1, 2, 3, 4, 6)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 0.7
    assert scores[-1] < 0.15


@pytest.mark.skipif(not PHOTOS, reason="the photographs are not here")
def test_size_and_contrast_matter_little():
    for path in PHOTOS[::6]:
        pixels = decode(path.read_bytes()).pixels
        half = cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        assert score(half) == pytest.approx(score(pixels), abs=0.06)
        assert score(pixels * 0.5 + 60) == pytest.approx(score(pixels), abs=0.03)


@pytest.mark.skipif(not PHOTOS, reason="the photographs are not here")
def test_an_enlarged_thumbnail_is_not_sharp():
    for path in PHOTOS[::6]:
        pixels = decode(path.read_bytes()).pixels
        small = cv2.resize(pixels, (96, 96), interpolation=cv2.INTER_AREA)
        enlarged = cv2.resize(small, (1024, 1024), interpolation=cv2.INTER_CUBIC)
        assert score(enlarged) < score(pixels) - 0.25


def test_plain_graphics_with_hard_edges_are_as_sharp_as_can_be():
    graphic = np.full((400, 400, 3), 240, np.uint8)
    cv2.rectangle(graphic, (120, 140), (260, 300), (30, 60, 200), -1)
    assert score(graphic) > 0.95


def test_a_sharp_subject_before_a_blurred_ground_is_sharp():
    noise = np.random.default_rng(0).integers(60, 200, (400, 400, 3)).astype(np.uint8)
    ground = blurred(noise, 8)
    ground[150:250, 150:250] = picture(1, side=100).pixels
    assert score(ground) > 0.7


def test_motion_blur_along_one_axis_shows():
    scene = picture(4, side=256).pixels
    for kernel in ((25, 1), (1, 25)):
        assert score(cv2.blur(scene, kernel)) < 0.35 < score(scene)


def test_stripes_are_judged_by_the_one_axis_that_has_edges():
    stripes = np.zeros((200, 200, 3), np.uint8)
    stripes[:, 40:90] = stripes[:, 130:160] = 220
    assert score(stripes) > 0.95
    assert score(stripes.transpose(1, 0, 2)) == score(stripes)
    assert score(blurred(stripes, 5)) < 0.2


def test_recompression_does_not_sharpen_a_blurred_picture():
    out = io.BytesIO()
    soft = blurred(picture(0, side=256).pixels, 4)
    Image.fromarray(soft).save(out, "JPEG", quality=60)
    assert sharpness.measure(decode(out.getvalue()), sharpness.Params())["sharpness__score"] < 0.2


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 9, 3), (9, 1, 3), (2, 2, 3)])
def test_tiny_pictures_stay_in_range(shape):
    assert 0 <= score(np.random.default_rng(0).integers(0, 256, shape)) <= 1


def test_one_colour_has_no_edge():
    assert score(np.full((100, 100, 3), 80)) == 0


def test_a_wider_reach_forgives_more_blur():
    soft = blurred(picture(3, side=256).pixels, 2)
    assert score(soft, reach=2) < score(soft, reach=5) < score(soft, reach=12)
