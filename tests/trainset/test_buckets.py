import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.settings import Buckets
from pipeline.trainset.buckets import fit, place, sizes

settings = st.builds(
    Buckets,
    resolution=st.integers(128, 1024),
    step=st.sampled_from([8, 16, 32, 64, 128]),
    max_aspect=st.floats(1, 4),
)
sides = st.integers(1, 3000) | st.sampled_from([1, 2, 20000])


@given(settings)
def test_buckets_are_in_steps_and_have_no_more_pixels_than_the_square(buckets):
    side = buckets.resolution // buckets.step * buckets.step
    found = sizes(buckets)
    assert (side, side) in found
    assert len(set(found)) == len(found)
    for width, height in found:
        assert width % buckets.step == height % buckets.step == 0
        assert width * height <= side**2 <= buckets.resolution**2
        assert max(width, height) / min(width, height) <= buckets.max_aspect
        assert (height, width) in found


def test_the_buckets_of_512():
    assert sizes(Buckets()) == ((384, 640), (448, 576), (512, 512), (576, 448), (640, 384))
    assert sizes(Buckets(max_aspect=1.0)) == ((512, 512),)
    assert sizes(Buckets(resolution=500)) == sizes(Buckets(resolution=448))


@given(settings, sides, sides)
def test_the_bucket_is_of_the_nearest_aspect(buckets, width, height):
    placed = place(width, height, buckets)
    aspect = math.log(width / height)
    off = abs(math.log(placed.width / placed.height) - aspect)
    assert off <= min(abs(math.log(w / h) - aspect) for w, h in sizes(buckets)) + 1e-8


@given(settings, sides, sides)
def test_the_cut_lies_within_the_picture_in_the_middle_and_fills_the_bucket(buckets, width, height):
    placed = place(width, height, buckets)
    assert 1 <= placed.cut_width <= width
    assert 1 <= placed.cut_height <= height
    assert abs(2 * placed.left + placed.cut_width - width) <= 1
    assert abs(2 * placed.top + placed.cut_height - height) <= 1
    # it is whole on one side, and on the other half a pixel from the bucket's aspect at most, or one pixel
    wide, high = height * placed.width / placed.height, width * placed.height / placed.width
    assert placed.cut_width == width or abs(placed.cut_width - max(1, wide)) <= 0.5
    assert placed.cut_height == height or abs(placed.cut_height - max(1, high)) <= 0.5
    assert placed.cut_width == width or placed.cut_height == height
    assert placed.lost == pytest.approx(1 - placed.cut_width * placed.cut_height / (width * height))
    assert 0 <= placed.lost < 1


def test_little_is_lost_of_usual_shapes():
    for width, height in ((4000, 3000), (3000, 4000), (1920, 1080), (1000, 1000), (600, 400)):
        assert place(width, height, Buckets()).lost < 0.12
    assert place(640, 640, Buckets()).lost == 0


def ramp(width, height):
    """Each pixel says where it is: red from left to right, green from top to bottom."""
    red, green = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return np.stack([red, green, np.full_like(red, 7)], axis=-1).round().astype(np.uint8)


@given(
    width=st.integers(64, 700),
    height=st.integers(64, 700),
    resolution=st.sampled_from([64, 128, 256]),
    wide=st.booleans(),
)
def test_pixels_come_from_where_the_placement_says(width, height, resolution, wide):
    placed = place(width, height, Buckets(resolution=resolution, step=32, max_aspect=2.0 if wide else 1.0))
    fitted = fit(ramp(width, height), placed)
    assert fitted.shape == (placed.height, placed.width, 3)
    assert fitted.dtype == np.uint8
    across = placed.left + (np.arange(placed.width) + 0.5) * placed.cut_width / placed.width - 0.5
    down = placed.top + (np.arange(placed.height) + 0.5) * placed.cut_height / placed.height - 0.5
    # away from the edges, where cubic enlarging rings
    inner = np.s_[3:-3, 3:-3]
    assert np.abs(fitted[..., 0] - (across * 255 / (width - 1))[None, :])[inner].max() <= 2
    assert np.abs(fitted[..., 1] - (down * 255 / (height - 1))[:, None])[inner].max() <= 2
    assert (fitted[..., 2] == 7).all()


@pytest.mark.parametrize(("width", "height"), [(1, 20000), (20000, 1), (1, 1), (2, 3)])
def test_a_strip_costs_no_more_than_its_bucket(width, height):
    placed = place(width, height, Buckets())
    fitted = fit(np.full((height, width, 3), 90, np.uint8), placed)
    assert fitted.shape == (placed.height, placed.width, 3)
    assert (fitted == 90).all()
    assert fitted.size <= 3 * 512**2


def test_a_picture_of_its_buckets_size_is_left_as_it_is():
    pixels = np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8)
    assert (fit(pixels, place(512, 512, Buckets())) == pixels).all()


def test_shrinking_averages():
    pixels = np.zeros((1024, 1024, 3), np.uint8)
    pixels[::2, ::2] = 255
    assert np.unique(fit(pixels, place(1024, 1024, Buckets()))).tolist() == [64]
