import numpy as np
import pytest
import torch

from pipeline import models, sampling
from pipeline.errors import RecipeError
from pipeline.methods import textual_inversion
from pipeline.training import placeholders
from pipeline.training.data import MemoryExamples
from pipeline.training.job import Job
from pipeline.training.settings import TrainSettings

CAPTIONS = ["a <robot> on the left", "a <robot> on a blue background", "a <robot>"]
WITH, WITHOUT = [("a <robot> on a red background", 1)], [("a red circle", 1), ("a blue square", 2)]


def settings(**changes):
    chosen = {"method": "textual_inversion", "steps": 5, "batch_size": 3, "checkpoint_every": 2, "learning_rate": 0.2}
    return TrainSettings(**{**chosen, "placeholder": "<robot>", "vectors": 2, "initial_words": "square", **changes})


@pytest.fixture(scope="module", params=["sd", "sdxl"])
def base(request, sdxl):
    return "starter" if request.param == "sd" else str(sdxl)


@pytest.fixture
def examples(base):
    told = {"time_ids": torch.tensor([[64.0, 64, 0, 0, 64, 64]] * 3)} if base != "starter" else {}
    moments = torch.randn(3, 8, 16, 16, generator=torch.Generator().manual_seed(0))
    return MemoryExamples(moments, torch.zeros(3, 77, 1), torch.zeros(77, 1), scale=0.4, words=CAPTIONS, **told)


def train(base, examples, chosen, folder, **more):
    painter, scheduler = models.load_painter(base, reads=True), models.load_scheduler(base)
    return painter, textual_inversion.train(painter, examples, scheduler, chosen, Job(folder, **more))


def paint(pipe, pairs):
    return np.stack(sampling.sample(pipe, pairs, steps=3, size=64, guidance=3.0)).astype(int)


def test_nothing_but_the_vectors_changes_bit_for_bit(base, examples, tmp_path):
    chosen = settings(weight_decay=0.5, caption_dropout=0.3)
    painter, result = train(base, examples, chosen, tmp_path)
    before = models.load_painter(base, reads=True)
    known = {
        name.replace("token_embedding.known", "token_embedding"): one for name, one in painter.state_dict().items()
    }
    for name, one in before.state_dict().items():
        assert torch.equal(known.pop(name), one), name
    assert {name.rpartition(".")[2] for name in known} == {"vectors"}
    begun = models.load_painter(base, reads=True)
    placeholders.add(begun.texts, "<robot>", vectors=2, words="square")
    for one, two in zip(placeholders.parameters(begun.texts), placeholders.parameters(painter.texts), strict=True):
        assert (one - two).abs().min() > 1e-3
    assert len(result.losses) == 5


def test_prompts_without_the_word_paint_the_same_bit_for_bit_and_with_it_not(base, examples, tmp_path):
    painter, result = train(base, examples, settings(), tmp_path)
    plain, taught = models.load_pipeline(base), models.load_pipeline(base, painter=painter)
    assert (paint(plain, WITHOUT) == paint(taught, WITHOUT)).all()
    assert np.abs(paint(plain, WITH) - paint(taught, WITH)).mean() > 1
    again = textual_inversion.load(models.load_painter(base, reads=True), result.folder)
    assert (paint(models.load_pipeline(base, painter=again), WITH) == paint(taught, WITH)).all()


def test_the_plain_pipeline_opens_the_file_and_paints_the_same(base, examples, tmp_path):
    painter, result = train(base, examples, settings(), tmp_path)
    wanted = paint(models.load_pipeline(base, painter=painter), WITH)
    plain = models.load_pipeline(base)
    if base == "starter":
        plain.load_textual_inversion(result.folder, weight_name=placeholders.FILE)
    else:
        stored = placeholders.load_file(result.folder / placeholders.FILE)
        for key, name in (("clip_l", ""), ("clip_g", "_2")):
            encoder = getattr(plain, f"text_encoder{name}")
            known = {"text_encoder": encoder, "tokenizer": getattr(plain, f"tokenizer{name}")}
            plain.load_textual_inversion(stored[key], "<robot>", **known)
    assert np.abs(paint(plain, WITH) - wanted).max() <= 1


class Killed(Exception):  # noqa: N818 - it stands for a signal
    pass


def test_a_killed_training_ends_bitwise_as_an_undisturbed_one(base, examples, tmp_path):
    chosen = settings(ema_decay=0.9, caption_dropout=0.5)
    straight, result = train(base, examples, chosen, tmp_path / "straight")

    def kill(step, _painter):
        if step == 4:
            raise Killed

    with pytest.raises(Killed):
        train(base, examples, chosen, tmp_path / "killed", on_checkpoint=kill)
    again, resumed = train(base, examples, chosen, tmp_path / "killed")
    assert resumed.losses == result.losses
    for one, two in zip(placeholders.parameters(straight.texts), placeholders.parameters(again.texts), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("word", ["", "<other>"])
def test_captions_without_the_word_are_told(base, examples, word, tmp_path):
    with pytest.raises(RecipeError, match=r"train\.placeholder: captions do not have the new word.*\{trigger\}"):
        train(base, examples, settings(placeholder=word), tmp_path)
