import pytest
import torch
from transformers import CLIPModel, CLIPProcessor

from pipeline.errors import ModelError
from pipeline.metrics import clip_score


def test_a_picture_of_its_prompt_scores_higher(clip, plain):
    for shown in ("red", "green", "blue"):
        scores = clip_score.measure([plain(shown)] * 3, ["red", "green", "blue"], clip=clip)
        assert scores.index(max(scores)) == ["red", "green", "blue"].index(shown)
        assert all(0 <= score <= 100.001 for score in scores)


def test_it_is_the_cosine_that_transformers_computes(clip, plain):
    model, processor = CLIPModel.from_pretrained(clip), CLIPProcessor.from_pretrained(clip)
    inputs = processor(images=[plain("red")], text=["red", "blue"], padding=True, return_tensors="pt")
    with torch.no_grad():
        logits = model(**inputs).logits_per_image[0] / model.logit_scale.exp()
    scores = clip_score.measure([plain("red")] * 2, ["red", "blue"], clip=clip)
    assert scores == pytest.approx([100 * max(float(one), 0.0) for one in logits], abs=1e-3)


def test_scores_do_not_depend_on_company(clip, plain):
    colors = ["red", "green", "blue"] * 7
    together = clip_score.measure([plain(one) for one in colors], colors, clip=clip)
    assert together[:3] == pytest.approx(together[18:], abs=1e-3)
    assert clip_score.measure([plain("red")], ["red"], clip=clip) == pytest.approx(together[:1], abs=1e-3)


def test_nothing_to_measure_and_too_little(clip, plain):
    assert clip_score.measure([], [], clip=clip) == []
    with pytest.raises(ValueError, match="1 pictures, 0 prompts"):
        clip_score.measure([plain("red")], [], clip=clip)
    with pytest.raises(ModelError, match=r"evaluate\.clip"):
        clip_score.measure([plain("red")], ["red"], clip="/no/such/clip")
