import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.starter.grounds import CONTRAST, ground
from pipeline.starter.scene import COLORS, TEXTURES

colors = st.sampled_from(sorted(COLORS))


def painted(color, texture, seed=0, side=128):
    return ground(color, texture, side, np.random.default_rng(seed))


@given(color=colors, texture=st.sampled_from(TEXTURES), seed=st.integers(0, 2**30), side=st.sampled_from([32, 128]))
def test_a_ground_is_its_colour_and_the_same_each_time(color, texture, seed, side):
    one = painted(color, texture, seed, side)
    assert one.shape == (side, side, 3)
    assert one.dtype == np.uint8
    assert (one == painted(color, texture, seed, side)).all()


@given(color=colors, texture=st.sampled_from(TEXTURES), seed=st.integers(0, 2**30))
def test_the_ground_is_on_the_whole_nearest_to_its_own_colour(color, texture, seed):
    mean = painted(color, texture, seed).reshape(-1, 3).mean(axis=0)
    apart = {name: np.linalg.norm(mean - np.array(value)) for name, value in COLORS.items()}
    assert min(apart, key=lambda name: apart[name]) == color


@pytest.mark.parametrize("color", COLORS)
def test_a_texture_shows_on_every_colour_and_a_plain_ground_shows_none(color):
    for seed in range(6):
        spread = {texture: float(painted(color, texture, seed).std(axis=(0, 1)).max()) for texture in TEXTURES}
        assert spread["plain"] < 6
        assert min(value for texture, value in spread.items() if texture != "plain") > 9, spread


@pytest.mark.parametrize("texture", ["striped", "dotted", "checked"])
def test_a_pattern_has_two_shades_that_are_one_contrast_apart(texture):
    for seed in range(8):
        rows = painted("gray", texture, seed)[..., 0].astype(int)
        apart = [np.ptp(np.unique(row)) for row in rows]  # a row is lit alike
        assert np.median(apart) == pytest.approx(CONTRAST, abs=2)
        share = np.mean(rows < rows.max(axis=1, keepdims=True) - CONTRAST / 2)
        assert 0.2 < share < 0.8


def test_textures_are_told_apart_by_how_they_repeat():
    """Stripes are constant along a line; checks along none but repeat both ways; a gradient only rises."""
    gray = {texture: painted("gray", texture, 5)[..., 0].astype(float) for texture in TEXTURES}
    levels = gray["graded"].mean(axis=0)
    assert (np.diff(levels) <= 0.5).all() or (np.diff(levels) >= -0.5).all()
    assert np.ptp(levels) > 2 * CONTRAST
    flips = {texture: np.mean(np.abs(np.diff(one, axis=1)) > CONTRAST / 2) for texture, one in gray.items()}
    assert flips["plain"] == flips["graded"] == 0
    assert 0 < flips["striped"] < 0.3
    assert flips["speckled"] > 0.2
