import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.imaging import decode, encode_png
from pipeline.scorers import borders
from pipeline.starter import grounds
from pipeline.starter.pictures import picture
from pipeline.starter.scene import COLORS


def share(pixels, *, quality=None):
    file = io.BytesIO()
    if quality is None:
        return borders.measure(decode(encode_png(np.ascontiguousarray(pixels))), borders.Params())["borders__share"]
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return borders.measure(decode(file.getvalue()), borders.Params())["borders__share"]


def busy(high=240, wide=320, seed=0):
    """A stand-in for a photograph: structure at every size."""
    rng = np.random.default_rng(seed)
    layers = [
        np.asarray(Image.fromarray(rng.integers(0, 256, (n, n, 3), dtype=np.uint8)).resize((wide, high)), float)
        for n in (3, 9, 40)
    ]
    return np.clip(sum(layers) / 3, 0, 255).astype(np.uint8)


def framed(pixels, top, side, color):
    image = np.empty((len(pixels) + 2 * top, pixels.shape[1] + 2 * side, 3), np.uint8)
    image[:] = color
    image[top : top + len(pixels), side : side + pixels.shape[1]] = pixels
    return image


@settings(max_examples=25)
@given(
    top=st.integers(4, 60),
    side=st.integers(4, 60),
    seed=st.integers(0, 50),
    color=st.sampled_from([(0, 0, 0), (255, 255, 255), (30, 90, 60)]),
    which=st.sampled_from(["bars", "pillars", "frame"]),
)
def test_bars_and_frames_are_measured(top, side, seed, color, which):
    top, side = (top if which != "pillars" else 0), (side if which != "bars" else 0)
    photo = busy(seed=seed)
    image = framed(photo, top, side, color)
    planted = 1 - photo[..., 0].size / image[..., 0].size
    assert share(image) == pytest.approx(planted, abs=0.03)


@pytest.mark.parametrize("quality", [30, 60, 90])
def test_compression_hides_no_bar(quality):
    image = framed(busy(), 30, 0, (0, 0, 0))
    assert share(image, quality=quality) == pytest.approx(60 / 300, abs=0.03)


def test_a_photograph_has_none():
    assert [share(busy(seed=seed)) for seed in range(20)] == [0] * 20


def test_plain_grounds_and_drawings_have_none():
    assert share(np.full((90, 90, 3), 255, np.uint8)) == 0
    assert share(np.zeros((90, 90, 3), np.uint8)) == 0
    assert [share(picture(seed, side=128).pixels) for seed in range(300)].count(0) >= 299


@pytest.mark.parametrize("texture", ["striped", "checked", "dotted", "graded"])
def test_a_pattern_is_no_bar(texture):
    colors = [name for name in COLORS if name not in ("black", "white")]
    found = [share(grounds.ground(name, texture, 128, np.random.default_rng(at))) for at, name in enumerate(colors * 3)]
    assert found.count(0) == len(found)


def test_one_dark_edge_is_no_pair_of_bars():
    image = busy()
    image[:40] = 0
    assert share(image) == 0
    image[-40:] = 255
    assert share(image) == 0


@pytest.mark.parametrize("shape", [(1, 1), (2, 60), (60, 2), (5, 5)])
def test_pictures_of_any_size_are_measured(shape):
    assert share(np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)) == 0


@pytest.mark.parametrize("pure", [0, 255])
def test_a_frame_shows_around_what_is_nearly_as_white_or_black(pure):
    for seed in range(3):
        high_key = (np.abs(pure - 8) - (busy(seed=seed) // 16).astype(int) * (1 if pure else -1)).astype(np.uint8)
        image = framed(high_key, 24, 24, (pure,) * 3)
        assert share(image) == pytest.approx(1 - high_key[..., 0].size / image[..., 0].size, abs=0.03)


def test_burnt_out_ground_around_a_subject_is_no_bar():
    for seed in range(5):
        photo = busy(seed=seed).astype(float)
        rows = np.abs(np.linspace(-1, 1, len(photo)))[:, None, None]
        burnt = np.clip(photo + 500 * np.clip(rows - 0.4, 0, None), 0, 255).astype(np.uint8)
        assert (burnt[:4] == 255).all()
        assert share(burnt) == 0
