import numpy as np
import pytest
import torch

from pipeline import models, openclip
from pipeline.errors import ModelError
from pipeline.matching.clip import Clip, distinct
from pipeline.metrics import clip_score
from pipeline.starter.pictures import picture

DRAWN = [picture(seed) for seed in range(5)]
PIXELS = [one.pixels for one in DRAWN]
TEXTS = [one.caption for one in DRAWN]


def test_scores_are_those_of_the_same_model_in_transformers():
    found = Clip("starter").scores(PIXELS, TEXTS)
    assert found == pytest.approx(clip_score.measure(PIXELS, TEXTS, clip="starter"), abs=0.02)
    assert Clip("starter").scores([], []) == []
    with pytest.raises(ValueError, match="5 pictures, 1 texts"):
        Clip("starter").scores(PIXELS, TEXTS[:1])


def test_a_model_in_open_clips_own_layout_gives_the_same(tmp_path):
    openclip.export(models.locate("starter", part="clip"), tmp_path / "clip")
    own = Clip(str(tmp_path / "clip"), field="caption.clip")
    assert own.scores(PIXELS, TEXTS) == pytest.approx(Clip("starter").scores(PIXELS, TEXTS), abs=1e-4)
    assert torch.allclose(own.pictures(PIXELS).norm(dim=1), torch.ones(5), atol=1e-5)


def test_a_missing_model_is_told_by_its_place():
    with pytest.raises(ModelError, match=r"caption\.clip"):
        Clip("/no/such/clip", field="caption.clip")


def test_a_picture_with_several_texts_is_seen_once():
    one, other = np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 3), np.uint8)
    seen, places = distinct([one, one, other, one])
    assert [id(item) for item in seen] == [id(one), id(other)]
    assert places == [0, 0, 1, 0]
