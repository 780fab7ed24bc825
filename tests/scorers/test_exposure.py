import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.imaging import decode, encode_png
from pipeline.scorers import exposure
from pipeline.starter.pictures import picture

SCENE = picture(2, side=128).pixels


def measure(pixels, **params):
    return exposure.measure(decode(encode_png(np.ascontiguousarray(pixels))), exposure.Params(**params))


def test_a_ramp_has_the_percentiles_that_it_was_made_with():
    ramp = np.arange(256, dtype=np.uint8)[None, :, None].repeat(10, 0).repeat(3, 2)
    measured = measure(ramp)
    assert measured["exposure__p5"] == pytest.approx(0.05, abs=0.005)
    assert measured["exposure__p99"] == pytest.approx(0.99, abs=0.005)
    assert measured["exposure__contrast"] == pytest.approx(0.90, abs=0.01)
    assert measured["exposure__dark"] == pytest.approx(13 / 256)
    assert measured["exposure__bright"] == pytest.approx(13 / 256)


def test_percentiles_are_numpys():
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    luma = cv2.cvtColor(noise, cv2.COLOR_RGB2GRAY)
    measured = measure(noise)
    for share, name in ((5, "exposure__p5"), (99, "exposure__p99")):
        expected = np.percentile(luma, share, method="inverted_cdf") / 255
        assert measured[name] == pytest.approx(expected, abs=1e-9)


def test_darkened_pictures_fall_below_cleanvisions_limit():
    values = [measure((SCENE * factor).astype(np.uint8))["exposure__p99"] for factor in (1, 0.6, 0.3, 0.1)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.32 > values[-1]


def test_over_exposed_pictures_rise_above_cleanvisions_limit():
    lighter = [np.clip(SCENE.astype(int) + shift, 0, 255).astype(np.uint8) for shift in (0, 100, 230)]
    values = [measure(pixels)["exposure__p5"] for pixels in lighter]
    assert values == sorted(values)
    assert values[0] < 0.95 < values[-1]
    assert measure(lighter[-1])["exposure__bright"] > 0.95


def test_contrast_falls_as_greys_draw_together():
    values = [measure((SCENE * factor + 128 * (1 - factor)).astype(np.uint8)) for factor in (1, 0.5, 0.1)]
    contrasts = [value["exposure__contrast"] for value in values]
    assert contrasts == sorted(contrasts, reverse=True)
    assert contrasts[-1] < 0.1
    assert measure(np.full((9, 9, 3), 77, np.uint8))["exposure__contrast"] == 0


def test_the_shares_follow_their_limits():
    half = np.full((10, 10, 3), 100, np.uint8)
    half[:5] = 20
    assert measure(half)["exposure__dark"] == 0
    assert measure(half, black=0.1)["exposure__dark"] == 0.5
    assert measure(half, white=0.35)["exposure__bright"] == 0.5
    with pytest.raises(ValidationError, match="less than or equal to 1"):
        exposure.Params(black=2)


def test_the_range_is_numpys_of_the_liveliest_channel():
    rng = np.random.default_rng(1)
    pixels = np.stack([rng.integers(90, 90 + spread, (256, 256)) for spread in (20, 120, 60)], axis=2).astype(np.uint8)
    expected = np.ptp(np.percentile(pixels[..., 1], (1, 99))) / 255
    assert measure(pixels)["exposure__range"] == pytest.approx(expected, abs=0.01)


def test_a_thing_of_the_grounds_lightness_is_no_dull_picture_but_a_faint_one_is():
    least = exposure.LIMITS["exposure__range"]["min"]
    ground = np.full((256, 256, 3), (128, 128, 128), np.uint8)
    ground[96:160, 96:160] = (200, 100, 108)  # a sixteenth of the picture, and of the same luma
    shown = measure(ground)
    assert shown["exposure__contrast"] < 0.1 < least + 0.1 < shown["exposure__range"]
    assert measure((ground * 0.08 + 128 * 0.92).astype(np.uint8))["exposure__range"] < least
    assert measure(np.full((9, 9, 3), 77, np.uint8))["exposure__range"] == 0
