import numpy as np
import pytest

from pipeline.imaging import decode, encode_png
from pipeline.scorers import resolution


@pytest.mark.parametrize(("height", "width"), [(600, 1500), (1500, 600)])
def test_sides_area_and_aspect(height, width):
    decoded = decode(encode_png(np.zeros((height, width, 3), np.uint8)))
    assert resolution.measure(decoded, resolution.Params()) == {
        "resolution__short_side": 600,
        "resolution__long_side": 1500,
        "resolution__megapixels": 0.9,
        "resolution__aspect": 0.4,
    }


def test_a_square_has_aspect_1():
    decoded = decode(encode_png(np.zeros((7, 7, 3), np.uint8)))
    assert resolution.measure(decoded, resolution.Params())["resolution__aspect"] == 1
