import numpy as np
import pytest

from pipeline.starter.scene import COLORS, SHAPES
from pipeline.starter.subjects import OWN_COLORS, PAINTERS


def painted(name, ground=(200, 200, 200), center=(40.0, 80.0), radius=24.0):
    image = np.full((128, 128, 3), ground, np.uint8)
    PAINTERS[name](image, center, radius)
    return image


@pytest.mark.parametrize("name", PAINTERS)
def test_a_subject_is_painted_where_it_is_asked_for(name):
    down, across = np.nonzero((painted(name) != 200).any(axis=2))
    assert 40 - 30 <= across.min() < across.max() <= 40 + 30
    assert 80 - 32 <= down.min() < down.max() <= 80 + 32


@pytest.mark.parametrize("name", PAINTERS)
def test_without_a_ground_of_its_own_colours_most_of_it_stands_out(name):
    image = painted(name)
    shown = {color: int((image == value).all(axis=2).sum()) for color, value in COLORS.items()}
    assert max(shown, key=lambda color: shown[color]) == OWN_COLORS[name][0]
    for ground in set(COLORS) - set(OWN_COLORS[name]):
        assert shown[ground] < 0.35 * sum(shown.values()), ground


def test_subjects_differ_and_are_no_shapes():
    assert not set(PAINTERS) & set(SHAPES)
    assert set(OWN_COLORS) == set(PAINTERS)
    made = [painted(name).tobytes() for name in PAINTERS]
    assert len(set(made)) == len(made)
