import numpy as np
import pytest

from pipeline.settings import Buckets
from pipeline.starter.pictures import picture
from pipeline.trainset import buckets, views

SIZES = Buckets(resolution=64, step=16)
FLIP = [{"HorizontalFlip": {"p": 1.0}}]
ALL = [{"RandomCrop": {"height": 40, "width": 60}}, {"ColorJitter": {"brightness": 0.5}}]


@pytest.fixture
def pixels():
    return picture(5, side=96).pixels


def test_view_0_is_the_picture_at_its_buckets_size(pixels):
    made = views.make(pixels, "pixel", 0, ALL, SIZES)
    assert (made.pixels == buckets.fit(pixels, buckets.place(96, 96, SIZES))).all()
    assert (made.source_width, made.source_height) == (96, 96)


def test_a_crop_comes_before_the_bucket(pixels):
    made = views.make(pixels, "pixel", 1, ALL, SIZES)
    assert (made.placement.width, made.placement.height) == (80, 48)
    assert made.pixels.shape == (48, 80, 3)
    assert (made.source_width, made.source_height) == (96, 96)


def test_a_flip_flips_what_the_bucket_shows(pixels):
    plain, flipped = (views.make(pixels, "pixel", view, FLIP, SIZES).pixels for view in (0, 1))
    assert np.abs(flipped.astype(int) - plain[:, ::-1]).max() <= 1


def test_views_differ_and_are_drawn_the_same_again(pixels):
    made = {(name, view): views.make(pixels, name, view, ALL, SIZES).pixels for name in "ab" for view in (1, 2, 3)}
    assert len({one.tobytes() for one in made.values()}) == 6
    for (name, view), before in reversed(made.items()):
        assert (views.make(pixels, name, view, ALL, SIZES).pixels == before).all()


def test_the_picture_itself_is_never_drawn_on(pixels):
    before = pixels.copy()
    for view in range(3):
        made = views.make(pixels, "pixel", view, [{"ToGray": {"p": 1.0}}], SIZES)
        assert made.pixels.dtype == np.uint8
    assert (pixels == before).all()
