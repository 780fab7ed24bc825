import numpy as np
import pytest

from pipeline.imaging import decode
from pipeline.scorers import uniformity
from pipeline.starter import defects
from pipeline.starter.pictures import picture

LIMIT = uniformity.LIMITS["uniformity__share"]["max"]


def share(pixels, **params):
    data = defects.encoded(np.ascontiguousarray(pixels, np.uint8), "BMP")
    return uniformity.measure(decode(data), uniformity.Params(**params))["uniformity__share"]


@pytest.mark.parametrize("part", [0.0, 0.1, 0.3, 0.45])
def test_the_share_of_one_colour_is_measured(part):
    page = np.full((512, 512, 3), (30, 200, 90))
    page[: round(512 * part)] = (250, 20, 20)
    assert share(page) == pytest.approx(1 - part, abs=0.02)


def test_a_page_with_a_speck_is_blank_and_drawn_scenes_are_not():
    page = np.full((512, 512, 3), 240)
    page[200:260, 200:260] = picture(3, side=60).pixels
    assert share(page) > LIMIT
    assert max(share(picture(seed, side=256).pixels) for seed in range(30)) < LIMIT


def test_the_tolerance_holds_in_every_channel():
    page = np.full((256, 256, 3), 100)
    page[:120, :, 1] = 110
    assert share(page, tolerance=10) == 1
    assert share(page, tolerance=9) == pytest.approx(136 / 256, abs=0.05)


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (400, 1)])
def test_pictures_of_any_size_are_measured(shape):
    assert share(np.full((*shape, 3), 7)) == 1
