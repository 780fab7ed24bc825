import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.imaging import decode, encode_png
from pipeline.scorers import noise
from pipeline.starter.pictures import picture


def measure(pixels):
    return noise.measure(decode(encode_png(np.ascontiguousarray(pixels))), noise.Params())["noise__sigma"]


def grey(plane):
    return np.clip(np.round(plane), 0, 255).astype(np.uint8)[..., None].repeat(3, 2)


def noisy(sigma, side=400, seed=0, ground=128.0):
    return grey(ground + np.random.default_rng(seed).normal(0, sigma, (side, side)))


@pytest.mark.parametrize("sigma", [2, 5, 10, 20, 40])
def test_planted_noise_is_found(sigma):
    assert measure(noisy(sigma)) == pytest.approx(sigma, rel=0.05)


@settings(max_examples=20)
@given(high=st.integers(3, 300), wide=st.integers(3, 300), slope=st.floats(-0.8, 0.8))
def test_plain_and_sloping_pictures_have_none(high, wide, slope):
    rows, columns = np.mgrid[:high, :wide]
    assert measure(grey(128 + slope * (rows + columns) / 2)) <= 1


def test_edges_do_not_count():
    blocks = np.kron(np.random.default_rng(1).integers(0, 256, (25, 25)), np.ones((16, 16)))
    assert measure(grey(blocks)) == 0
    assert max(measure(picture(seed, side=256).pixels) for seed in range(12)) < 9


def test_noise_on_half_of_a_busy_picture_is_found_all_the_same():
    blocks = np.kron(np.random.default_rng(1).integers(60, 190, (25, 25)), np.ones((16, 16)))
    assert measure(grey(blocks + np.random.default_rng(0).normal(0, 12, blocks.shape))) == pytest.approx(12, rel=0.25)


def test_it_is_measured_at_full_size():
    """A proxy of 512 px would have averaged it away."""
    assert measure(noisy(20, side=1536)) == pytest.approx(20, rel=0.05)


@pytest.mark.parametrize("shape", [(1, 1), (2, 40), (40, 2), (3, 3), (17, 900)])
def test_pictures_of_any_size_are_measured(shape):
    assert measure(np.zeros((*shape, 3), np.uint8)) == 0
