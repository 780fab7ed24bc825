import numpy as np

from pipeline.judges import caption_match
from pipeline.stage import Tools, ensure
from pipeline.starter.defects import encoded
from pipeline.starter.pictures import picture
from pipeline.workspace import Workspace


def test_captions_of_other_pictures_lie_below_right_ones(tmp_path):
    tools = Tools(Workspace.create(tmp_path / "w"))
    drawn = [picture(seed) for seed in range(40)]
    right = [{"sample_id": tools.workspace.keep_original(encoded(one.pixels)), "sidecar": one.caption} for one in drawn]
    wrong = [{**row, "sidecar": other["sidecar"]} for row, other in zip(right, right[1:] + right[:1], strict=True)]
    params = caption_match.Params()

    def scores(rows):
        stored = ensure(caption_match, rows, params, tools, weights=caption_match.weights(params))
        return np.array(stored.table()["caption_match__score"].to_pylist())

    good, bad = scores(right), scores(wrong)
    assert (good > bad).mean() >= 0.95
    assert np.median(good) - np.median(bad) > 10
    assert [one.computed for one in tools.stats[-2:]] == [40, 40]  # another text is another question
    scores(right)
    assert tools.stats[-1].computed == 0


def test_a_picture_without_a_caption_cannot_be_wrong_and_one_that_cannot_be_read_is_an_error(tmp_path):
    tools = Tools(Workspace.create(tmp_path / "w"))
    kept = tools.workspace.keep_original(encoded(picture(0).pixels))
    rows = [
        {"sample_id": kept, "sidecar": ""},
        {"sample_id": "f" * 64, "sidecar": "a cat"},
        {"sample_id": kept, "sidecar": picture(0).caption},
    ]
    none, gone, right = caption_match.run(rows, caption_match.Params(), tools)
    assert none == {"caption_match__score": 100.0}
    assert "error" in gone
    assert 0 < right["caption_match__score"] < 100
    assert caption_match.run(rows[:1], caption_match.Params(model="/no/such/folder"), tools) == [none]
