from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline import models
from pipeline.starter import blip, pictures
from pipeline.starter.scene import scene
from pipeline.starter.tokenizers import blip_tokenizer
from pipeline.starter.vae import to_model
from pipeline.starter.wording import caption, plain_caption


@pytest.fixture(scope="module")
def letters(tmp_path_factory):
    captions = [caption(scene(seed), seed=seed) for seed in range(500)]
    return blip_tokenizer(captions, tmp_path_factory.mktemp("blip") / "tokenizer")


@pytest.fixture(scope="module")
def eyes():
    return models.load_clip("starter")[0]


def test_it_begins_with_clips_eyes(letters, eyes):
    model = blip.build(letters).eval()
    pixels = to_model(np.stack([pictures.picture(seed, held_out=True).pixels for seed in range(6)]))

    def alike():
        with torch.no_grad():
            theirs = eyes.vision_model(pixels).last_hidden_state.flatten(1)
            ours = model.vision_model(pixels).last_hidden_state.flatten(1)
        return [float(torch.corrcoef(torch.stack(pair))[0, 1]) for pair in zip(ours, theirs, strict=True)]

    assert max(alike()) < 0.3
    blip.take_eyes(model, eyes)
    assert min(alike()) > 0.7


def test_it_speaks_its_tokenizers_language(letters):
    config = blip.build(letters).config
    text = config.text_config
    assert (text.vocab_size, text.pad_token_id) == (len(letters), letters.pad_token_id)
    assert letters.convert_ids_to_tokens(text.bos_token_id) == "[DEC]"
    assert letters.convert_ids_to_tokens(text.sep_token_id) == "[SEP]"
    assert config.vision_config.image_size == 64
    assert text.encoder_hidden_size == config.vision_config.hidden_size


def surprise(model, letters):
    """The captioning loss over 8 of the pictures that it trained on, in nats a word."""
    drawn = [pictures.picture(seed, held_out=False) for seed in range(8)]
    text = letters([plain_caption(one.scene) for one in drawn], padding=True, return_tensors="pt")
    labels = text.input_ids.masked_fill(text.attention_mask == 0, -100)
    pixels = to_model(np.stack([one.pixels for one in drawn]))
    with torch.no_grad():
        return model(pixel_values=pixels, **text, labels=labels).loss.item()


def test_it_learns_what_captions_sound_like(letters, eyes, tmp_path, monkeypatch):
    monkeypatch.setattr(blip, "POOL", 8)
    before = blip.build(letters).eval()
    model = blip.train(letters, tmp_path, clip=eyes, steps=20, batch=8, say=lambda text: None)
    assert not model.training
    assert surprise(model, letters) < surprise(before, letters) - 1
    found = blip.accuracy(model, letters, count=8)
    assert set(found) == {"shape", "color", "size", "place", "background", "all", "two_things", "relation"}
    assert all(found["all"] <= found[name] for name in ("shape", "color", "size", "place", "background"))


class Speaks:
    """Captions held-out pictures, first those of one thing, with what `say` makes of their scenes."""

    def __init__(self, letters, say):
        self.letters, self.say = letters, say

    def generate(self, *, pixel_values, max_new_tokens):
        half = len(pixel_values) // 2
        scenes = [scene(30_000_000 + seed, held_out=True, things=1) for seed in range(half)]
        scenes += [scene(31_000_000 + seed, held_out=True, things=2) for seed in range(half)]
        return self.letters([self.say(one) for one in scenes], padding=True, return_tensors="pt").input_ids


def test_accuracy_knows_the_truth(letters):
    assert set(blip.accuracy(Speaks(letters, plain_caption), letters, count=30).values()) == {1.0}


def test_accuracy_knows_which_word_is_wrong(letters):
    def swapped(one):
        return plain_caption(replace(one, thing=replace(one.thing, color=one.background), background=one.thing.color))

    found = blip.accuracy(Speaks(letters, swapped), letters, count=30)
    assert found == {"shape": 1.0, "color": 0.0, "size": 1.0, "place": 1.0, "background": 0.0, "all": 0.0} | {
        "two_things": 0.0, "relation": 1.0,
    }  # fmt: skip
    silent = blip.accuracy(Speaks(letters, lambda one: "a"), letters, count=5)
    assert set(silent.values()) == {0.0}


def test_padding_and_the_start_are_no_lesson(letters, eyes, monkeypatch, tmp_path):
    monkeypatch.setattr(blip, "POOL", 16)
    seen = []

    def look(model, loss, **how):
        with torch.no_grad():
            forward = model.forward
            model.forward = lambda **inputs: seen.append(inputs) or forward(**inputs)
            loss(0)
        return model

    monkeypatch.setattr(blip, "fit", look)
    blip.train(letters, tmp_path, clip=eyes, steps=1, batch=8, say=lambda text: None)
    (inputs,) = seen
    assert (inputs["input_ids"][:, 0] == letters.convert_tokens_to_ids("[DEC]")).all()
    assert ((inputs["labels"] == -100) == (inputs["attention_mask"] == 0)).all()
