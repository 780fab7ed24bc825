import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.imaging import decode, shrink
from pipeline.planes import CROP_SIDE, PROXY_SIDE, Canonical
from pipeline.starter.defects import encoded


def canonical(pixels):
    return Canonical(pixels, shrink(pixels, PROXY_SIDE), "", "BMP", pixels.shape[1], pixels.shape[0], ())


@settings(max_examples=30)
@given(high=st.integers(1, 700), wide=st.integers(1, 700))
def test_crops_lie_inside_on_the_grid_of_blocks_and_do_not_overlap(high, wide):
    pixels = np.arange(high * wide, dtype=np.uint32).reshape(high, wide)
    # where a pixel lies is told by its colour: three bytes of its number
    colored = np.stack([pixels & 255, pixels >> 8 & 255, pixels >> 16], axis=2).astype(np.uint8)
    crops = canonical(colored).crops
    count, tall, broad = crops.shape
    assert (tall, broad) == (min(high, CROP_SIDE), min(wide, CROP_SIDE))
    assert count == max(1, min(3, high // CROP_SIDE)) * max(1, min(3, wide // CROP_SIDE))
    grey = cv2.cvtColor(colored, cv2.COLOR_RGB2GRAY)
    assert (crops[0] == grey[:tall, :broad]).all()


def test_lines_and_dots_are_the_proxy_s_own_pixels_and_nothing_can_be_written():
    picture = decode(encoded(np.random.default_rng(0).integers(0, 256, (700, 900, 3), dtype=np.uint8), "BMP"))
    assert (picture.lines[..., :3] == picture.proxy[::8]).all()
    assert (picture.lines[..., 3] == 255).all()
    assert (picture.dots == picture.proxy[::8, ::4]).all()
    for plane in (picture.luma, picture.lines, picture.dots, picture.crops, picture.histogram):
        with pytest.raises(ValueError, match="read-only"):
            plane[:] = 0
