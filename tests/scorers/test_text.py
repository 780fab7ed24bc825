import cv2
import numpy as np
import pytest

from pipeline.imaging import decode
from pipeline.scorers import text
from pipeline.starter import defects
from pipeline.starter.pictures import picture

LIMIT = text.LIMITS["text__coverage"]["max"]


def coverage(pixels, *, quality=None, **params):
    data = (
        defects.encoded(pixels, "JPEG", quality=quality)
        if quality
        else defects.encoded(np.ascontiguousarray(pixels), "BMP")
    )
    return text.measure(decode(data), text.Params(**params))["text__coverage"]


def written(pixels, words, *, at=0.5, scale=1.5, color=(255, 255, 255)):
    image = pixels.copy()
    place = (20, round(len(image) * at))
    cv2.putText(image, words, place, cv2.FONT_HERSHEY_SIMPLEX, scale, color, round(3 * scale), cv2.LINE_AA)
    return image


def busy(seed=0, side=512):
    """Structure at every size, as photographs have."""
    rng = np.random.default_rng(seed)
    layers = [
        cv2.resize(rng.normal(0, 60, (n, n, 3)), (side, side), interpolation=cv2.INTER_CUBIC) for n in (4, 16, 64)
    ]
    return np.clip(sum(layers) + 120 + rng.normal(0, 3, (side, side, 3)), 0, 255).astype(np.uint8)


def test_drawn_and_busy_pictures_have_none():
    assert max(coverage(picture(seed, side=512).pixels) for seed in range(12)) <= LIMIT
    assert max(coverage(busy(seed)) for seed in range(6)) <= LIMIT


@pytest.mark.parametrize("quality", [None, 80])
def test_lettering_is_found_on_whatever_ground(quality):
    for seed in range(4):
        for ground in (busy(seed), picture(seed, side=512).pixels):
            lettered = written(written(ground, "BEST PRICE EVER", at=0.2), "CALL US NOW", at=0.8, color=(255, 230, 0))
            assert coverage(lettered, quality=quality) > LIMIT


def test_more_lines_cover_more():
    lines = [busy(1)]
    for number in range(3):
        lines.append(written(lines[-1], "MANY WORDS HERE", at=0.2 + 0.25 * number))
    covered = [coverage(one) for one in lines]
    assert covered == sorted(covered)
    assert covered[3] > 2 * covered[1] > 0


def test_a_single_letter_is_no_line_of_text():
    assert coverage(written(busy(2), "A", scale=4)) == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (400, 1), (9, 9), (17, 64)])
def test_pictures_of_any_size_are_measured(shape):
    assert 0 <= coverage(np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)) <= 1


def test_covered_is_never_more_than_the_picture():
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::12] = stripes[:, 1::12] = stripes[:, 2::12] = stripes[:, 3::12] = 255
    assert 0.5 < coverage(stripes) <= 1
