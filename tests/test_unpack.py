import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline import unpack


@given(height=st.integers(1, 40), width=st.integers(1, 40), seed=st.integers(0, 99))
def test_pixels_are_pillows_own(height, width, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    assert (unpack.array(Image.fromarray(pixels)) == pixels).all()


def test_pixels_of_an_image_in_several_blocks_are_pillows_own():
    # 5 megapixels take 20 MB of four bytes a pixel, more than Pillow's largest block
    pixels = np.random.default_rng(0).integers(0, 256, (2000, 2500, 3), np.uint8)
    image = Image.fromarray(pixels)
    with pytest.raises(ValueError, match=r"contiguous|block"):
        image.__arrow_c_array__()
    assert (unpack.array(image) == pixels).all()


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"quality": 30}])
def test_a_jpegs_pixels_are_pillows_own(options):
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (53, 91, 3), np.uint8)).save(out, "JPEG", **options)
    assert (unpack.jpeg(out.getvalue()) == np.asarray(Image.open(out))).all()
    assert unpack.jpeg(out.getvalue()[:-9]) is None
    assert unpack.jpeg(b"no picture") is None
