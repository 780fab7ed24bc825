import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.halving import halved


@given(
    height=st.integers(2, 40), width=st.integers(2, 40), channels=st.sampled_from([(), (3,)]), seed=st.integers(0, 99)
)
def test_each_pixel_is_the_average_of_four(height, width, channels, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, *channels)).astype(np.uint8)
    made = halved(pixels, least=1)
    rows, columns = height // 2, width // 2
    blocks = pixels[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2, *channels)
    assert made.shape == (rows, columns, *channels)
    assert np.abs(made - blocks.mean(axis=(1, 3))).max() <= 0.5


@pytest.mark.parametrize("shape", [(1, 9, 3), (9, 1, 3), (15, 200)])
def test_what_would_become_too_small_stays(shape):
    pixels = np.zeros(shape, np.uint8)
    assert halved(pixels, least=8) is pixels
