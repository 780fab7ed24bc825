import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.matching import tags
from pipeline.matching.clip import Clip
from pipeline.starter.pictures import picture
from pipeline.starter.scene import COLORS, SHAPES


def test_a_vocabulary_has_remarks_and_limits_of_its_own(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("# shapes\nred  circle\nblue star\t21.5\n\n", encoding="utf-8")
    found = tags.read(path)
    assert found.tags == ("red circle", "blue star")
    assert found.limits == {"blue star": 21.5}


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "no tag"), ("a\nb\na", "line 3.*comes twice"), ("a\thigh", "line 1.*no number"), (None, "cannot be read")],
)
def test_a_vocabulary_that_says_nothing_is_told(tmp_path, text, message):
    path = tmp_path / "words.txt"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        tags.read(path)


def test_tags_are_named_as_whole_words():
    found = tags.named(["A Red-Circle, and a bluebird", ""], ["red circle", "blue", "bird", "red"])
    assert found.tolist() == [[True, False, False, True], [False] * 4]
    assert tags.named([], ["a"]).shape == (0, 1)


@given(st.data())
def test_above_a_limit_the_precision_is_what_was_asked_on_what_is_known(data):
    count = data.draw(st.integers(1, 30))
    numbers = st.lists(st.integers(0, 12), min_size=count, max_size=count)
    scores = np.array(data.draw(numbers), float)[:, None]
    shown = np.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)))[:, None]
    precision = data.draw(st.sampled_from([0.5, 0.8, 1.0]))
    known = np.ones(count, bool)
    (limit,) = tags.calibrated(scores, shown, known, precision=precision)
    if not shown.any():
        assert limit == pytest.approx(scores.mean() + tags.UNTOLD * max(scores.std(), 1e-9))
        return
    chosen = scores[:, 0] >= limit
    if chosen.any():
        assert shown[chosen].mean() >= precision
    # and no lower limit would do
    for lower in np.unique(scores[scores < limit]):
        assert shown[scores >= lower].mean() < precision


def test_tags_of_drawn_pictures_are_right_as_often_as_asked_on_pictures_not_calibrated_on():
    drawn = [picture(50_000_000 + seed, held_out=True) for seed in range(240)]
    words = [*COLORS, *SHAPES]
    clip = Clip("starter")
    scores = 100 * (clip.pictures([one.pixels for one in drawn]) @ clip.texts([f"a {word}" for word in words]).T)
    shown = tags.named([one.caption for one in drawn], words)
    known = np.arange(len(drawn)) < 120
    limits = tags.calibrated(scores.double().numpy(), shown, known, precision=0.9)
    chosen = scores.numpy() >= limits
    rest = ~known
    assert shown[rest][chosen[rest]].mean() > 0.75
    assert chosen[rest][shown[rest]].mean() > 0.3
