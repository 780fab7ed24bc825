import io

import cv2
import numpy as np
import pytest
from PIL import Image

from pipeline.imaging import decode
from pipeline.scorers import blockiness
from pipeline.starter import defects
from pipeline.starter.pictures import picture

LIMIT = blockiness.LIMITS["blockiness__score"]["max"]


def score(data):
    return blockiness.measure(decode(data), blockiness.Params())["blockiness__score"]


def stored(pixels):
    return defects.encoded(np.ascontiguousarray(pixels), "BMP")


def jpeg(pixels, quality):
    return defects.encoded(pixels, "JPEG", quality=quality)


def scene(seed=0, side=600):
    rng = np.random.default_rng(seed)
    layers = [
        cv2.resize(rng.normal(0, 50, (n, n, 3)), (side, side), interpolation=cv2.INTER_CUBIC) for n in (4, 16, 64)
    ]
    return np.clip(sum(layers) + 120 + rng.normal(0, 2, (side, side, 3)), 0, 255).astype(np.uint8)


def test_the_harder_the_compression_the_more_blocks_show():
    for seed in range(3):
        scores = [score(jpeg(scene(seed), quality)) for quality in (5, 15, 40, 90)]
        assert scores == sorted(scores, reverse=True)
        assert scores[0] > LIMIT > scores[2]
        assert score(stored(scene(seed))) < 0.1


@pytest.mark.parametrize(("top", "left"), [(0, 0), (3, 5), (7, 1)])
def test_blocks_show_wherever_the_grid_lies(top, left):
    spoiled = np.asarray(Image.open(io.BytesIO(jpeg(scene(), 6))))[top:, left:]
    assert score(stored(spoiled)) == pytest.approx(score(jpeg(scene(), 6)), rel=0.15)


def test_drawn_pictures_and_stripes_along_one_axis_have_none():
    # a ground of checks may have just the blocks' size
    assert sum(score(stored(picture(seed, side=256).pixels)) > LIMIT for seed in range(20)) <= 1
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::8] = 200
    assert score(stored(stripes)) == 0


@pytest.mark.parametrize("shape", [(1, 1), (23, 400), (400, 8), (24, 24), (127, 129)])
def test_pictures_of_any_size_are_measured(shape):
    assert 0 <= score(stored(np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8))) < 1


def test_blocks_of_plain_drawings_show_where_their_edges_are():
    drawn = [picture(seed, side=512).pixels for seed in range(100, 120)]
    assert sum(score(jpeg(one, 4)) > LIMIT for one in drawn) >= 18
    assert sum(score(stored(one)) > LIMIT for one in drawn) <= 1


def test_steps_that_nobody_sees_are_no_blocks():
    ground = np.full((512, 512, 3), 120, np.uint8)
    for levels, shown in ((3, False), (12, True)):
        blocks = ((np.add.outer(np.arange(512) // 8, np.arange(512) // 8) % 2) * levels).astype(np.uint8)
        assert (score(stored(ground + blocks[..., None])) > LIMIT) is shown
