import pytest

from pipeline.metrics import drift


def test_a_picture_that_stayed_has_not_drifted_and_another_one_has(clip, plain):
    before = [plain("red"), plain("green"), plain("blue")]
    stayed = drift.measure(before, before, clip=clip)
    assert stayed == pytest.approx([0, 0, 0], abs=0.01)
    moved = drift.measure([plain("red"), plain("blue"), plain("blue")], before, clip=clip)
    assert moved[0] == pytest.approx(0, abs=0.01)
    assert moved[1] > 1
    assert moved[2] == pytest.approx(0, abs=0.01)


def test_it_is_the_same_either_way(clip, plain):
    one, other = [plain("red")], [plain("blue")]
    assert drift.measure(one, other, clip=clip) == pytest.approx(drift.measure(other, one, clip=clip), abs=1e-3)


def test_nothing_to_measure_and_pictures_without_a_partner(clip, plain):
    assert drift.measure([], [], clip=clip) == []
    with pytest.raises(ValueError, match="1 pictures, 0"):
        drift.measure([plain("red")], [], clip=clip)
