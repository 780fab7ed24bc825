import pytest

from pipeline.metrics import clip_image


def test_a_picture_is_most_like_its_own_kind(clip, plain):
    pictures = [plain("red"), plain("green"), plain("blue")]
    scores = clip_image.measure(pictures, [plain("blue", 30, 30)] * 2, clip=clip)
    assert scores.index(max(scores)) == 2
    assert scores[2] == pytest.approx(100, abs=0.01)


def test_it_is_the_mean_over_references(clip, plain):
    red, mixed = [plain("red")], [plain("red"), plain("green"), plain("blue")]
    each = [clip_image.measure(red, [one], clip=clip)[0] for one in mixed]
    assert clip_image.measure(red, mixed, clip=clip)[0] == pytest.approx(sum(each) / 3, abs=1e-3)


def test_nothing_to_measure_and_nothing_to_compare_with(clip, plain):
    assert clip_image.measure([], [plain("red")], clip=clip) == []
    with pytest.raises(ValueError, match="no reference"):
        clip_image.measure([plain("red")], [], clip=clip)
