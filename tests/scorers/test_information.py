import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.imaging import decode, encode_png
from pipeline.scorers import information


def measure(pixels):
    return information.measure(decode(encode_png(np.ascontiguousarray(pixels))), information.Params())


def test_one_shade_has_none():
    assert measure(np.full((50, 50, 3), 99, np.uint8)) == {"information__entropy": 0, "information__colors": 1}


@pytest.mark.parametrize("bits", range(1, 9))
def test_equal_shares_of_two_to_the_n_shades_have_n_bits(bits):
    grey = (np.arange(256) % 2**bits).astype(np.uint8)[None, :, None].repeat(8, 0).repeat(3, 2)
    assert measure(grey)["information__entropy"] == pytest.approx(bits)


def test_entropy_is_pillows():
    rng = np.random.default_rng(3)
    grey = np.clip(rng.normal(120, 30, (100, 140)), 0, 255).astype(np.uint8)
    assert measure(grey[..., None].repeat(3, 2))["information__entropy"] == pytest.approx(
        Image.fromarray(grey).entropy()
    )


def test_colours_are_counted_in_steps_of_16():
    bars = np.zeros((8, 8, 3), np.uint8)
    bars[2:4] = (255, 0, 0)
    bars[4:6] = (0, 255, 0)
    bars[6:] = (250, 3, 9)  # the same coarse red
    assert measure(bars)["information__colors"] == 3


def test_noise_has_nearly_all_there_is():
    noise = measure(np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8))
    assert noise["information__entropy"] > 7
    assert noise["information__colors"] == 4096


@given(height=st.integers(1, 30), width=st.integers(1, 30), spread=st.integers(1, 128), seed=st.integers(0, 99))
def test_colours_are_counted_at_four_bits_on_every_second_row_and_column(height, width, spread, seed):
    pixels = np.random.default_rng(seed).integers(128 - spread, 128 + spread, (height, width, 3)).astype(np.uint8)
    wanted = {tuple(one) for one in (pixels[::2, ::2] >> 4).reshape(-1, 3).tolist()}
    assert measure(pixels)["information__colors"] == len(wanted)
