import pytest

from pipeline.captioners import clip_tags
from pipeline.errors import InputError, RecipeError
from pipeline.starter.pictures import picture
from pipeline.starter.scene import COLORS, SHAPES

DRAWN = [picture(70_000_000 + seed, held_out=True, things=1) for seed in range(40)]
ROWS = [{"pixels": one.pixels} for one in DRAWN]


@pytest.fixture
def words(tmp_path):
    path = tmp_path / "words.txt"

    def write(*lines):
        path.write_text("\n".join(lines), encoding="utf-8")
        return path

    return write


def test_a_limit_of_its_own_decides_alone(words):
    limited = [f"{one}\t{'-101' if one == 'star' else '101'}" for one in SHAPES]
    assert clip_tags.caption(ROWS[:3], clip_tags.Params(vocabulary=words(*limited))) == ["star"] * 3
    many = clip_tags.Params(vocabulary=words(*(f"{one}\t-101" for one in SHAPES)), most=2)
    assert [len(tags.split(", ")) for tags in clip_tags.caption(ROWS[:3], many)] == [2, 2, 2]


def test_one_picture_is_tagged_the_same_in_any_company(words):
    params = clip_tags.Params(vocabulary=words(*SHAPES, *COLORS), apart=1.0)
    together = clip_tags.caption(ROWS[:6], params)
    assert [clip_tags.caption([row], params)[0] for row in ROWS[:6]] == together
    assert clip_tags.caption([], params) == []


def test_the_words_and_not_the_files_name_decide_what_is_stored(words, tmp_path):
    one = clip_tags.Params(vocabulary=words("red", "blue"))
    before = clip_tags.weights(one)
    moved = one.vocabulary.rename(tmp_path / "moved.txt")
    other = clip_tags.Params(vocabulary=moved)
    assert clip_tags.weights(other) == before
    assert other.model_dump() == one.model_dump()
    assert clip_tags.weights(clip_tags.Params(vocabulary=words("red", "blue\t20"))) != before
    assert clip_tags.provenance(other) == "clip_tags starter vocabulary=moved.txt"
    with pytest.raises(InputError, match="cannot be read"):
        clip_tags.weights(clip_tags.Params(vocabulary=tmp_path / "none.txt"))
    with pytest.raises(RecipeError, match="needs a vocabulary"):
        clip_tags.caption(ROWS[:1], clip_tags.Params())
