import cv2
import numpy as np
import pytest

from pipeline.imaging import decode
from pipeline.scorers import watermark
from pipeline.starter import defects
from pipeline.starter.pictures import picture

LIMIT = watermark.LIMITS["watermark__strength"]["max"]


def measured(pixels, **params):
    data = defects.encoded(np.ascontiguousarray(pixels), "BMP")
    return watermark.measure(decode(data), watermark.Params(**params))


def cover(side=512, *, turn=0):
    """Words all over a sheet, 0 to 1."""
    sheet = np.zeros((side, side), np.uint8)
    for top in range(40, side, 70):
        cv2.putText(sheet, "stock photo stock photo", (10, top), cv2.FONT_HERSHEY_SIMPLEX, 1.2, 255, 3, cv2.LINE_AA)
    matrix = cv2.getRotationMatrix2D((side / 2, side / 2), turn, 1)
    return cv2.warpAffine(sheet, matrix, (side, side))[..., None] / 255


def marked(pixels, opacity, *, value=255, turn=0):
    part = cover(len(pixels), turn=turn) * opacity
    return np.round(pixels * (1 - part) + value * part).astype(np.uint8)


def smooth(seed=0, side=512):
    """A scene of soft light and some things with hard edges."""
    rng = np.random.default_rng(seed)
    light = cv2.resize(rng.uniform(40, 200, (4, 4, 3)), (side, side), interpolation=cv2.INTER_CUBIC)
    for _ in range(12):
        center = tuple(int(value) for value in rng.integers(0, side, 2))
        cv2.circle(light, center, int(rng.integers(10, 60)), tuple(rng.uniform(0, 255, 3)), -1)
    return np.clip(light + rng.normal(0, 1, light.shape), 0, 255).astype(np.uint8)


def test_most_scenes_bear_no_mark():
    scenes = [smooth(seed) for seed in range(10)] + [picture(seed, side=512).pixels for seed in range(20)]
    assert sum(measured(one)["watermark__strength"] > LIMIT for one in scenes) <= 2


@pytest.mark.parametrize("turn", [0, 30])
@pytest.mark.parametrize(("opacity", "value"), [(0.25, 255), (0.4, 255), (0.3, 0)])
def test_a_mark_is_found_with_its_opacity(turn, opacity, value):
    for seed in range(3):
        found = measured(marked(smooth(seed), opacity, value=value, turn=turn))
        assert found["watermark__strength"] > LIMIT
        assert found["watermark__opacity"] == pytest.approx(opacity, abs=0.03)


def test_opaque_words_are_text_and_no_mark():
    assert measured(marked(smooth(1), 1.0))["watermark__strength"] <= LIMIT


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (400, 1), (9, 5), (17, 64)])
def test_pictures_of_any_size_are_measured(shape):
    found = measured(np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8))
    assert found["watermark__strength"] >= 0
    assert 0 <= found["watermark__opacity"] <= 1


@pytest.mark.parametrize("step", range(16, 62, 2))
def test_an_opacity_at_the_edge_of_two_bins_is_in_one_of_them(step):
    bars = np.where(np.arange(512) // 8 % 2, 155 + step, 155).astype(np.uint8)  # of a room of 100: step % opaque
    found = measured(np.broadcast_to(bars[None, :, None], (512, 512, 3)), spread=0)
    assert found["watermark__strength"] > LIMIT
    assert found["watermark__opacity"] == pytest.approx(step / 100, abs=0.021)


def test_the_grain_of_a_bright_grey_wall_is_no_mark():
    rng = np.random.default_rng(5)
    light = np.linspace(150, 205, 512)[None, :] * np.ones((512, 1))  # from one side, as by a window
    for sigma in (3, 6, 10):
        grain = cv2.GaussianBlur(rng.normal(0, 6 * sigma, (512, 512)), (0, 0), 1.5)
        wall = np.clip(light + grain, 0, 255).astype(np.uint8)[..., None].repeat(3, axis=2)
        assert measured(wall)["watermark__strength"] <= LIMIT


def test_a_shadow_over_two_grounds_is_no_mark_but_strokes_as_dark_are():
    ground = np.full((512, 512, 3), (190, 160, 120), np.uint8)
    ground[256:] = (120, 170, 200)
    shadow, strokes = np.zeros((512, 512)), np.zeros((512, 512))
    cv2.circle(shadow, (256, 256), 150, 1, -1)
    for left in range(60, 450, 50):
        cv2.line(strokes, (left, 60), (left + 20, 450), 1, 9)
    shadowed, marked_so = ((ground * (1 - 0.4 * one[..., None])).astype(np.uint8) for one in (shadow, strokes))
    assert measured(shadowed)["watermark__strength"] <= LIMIT
    assert measured(marked_so)["watermark__strength"] > LIMIT
    assert measured(marked_so)["watermark__opacity"] == pytest.approx(0.4, abs=0.03)
