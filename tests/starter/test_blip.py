from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import BlipForConditionalGeneration

from pipeline import models
from pipeline.starter import architectures, blip, pictures
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
    torch.manual_seed(0)
    model = BlipForConditionalGeneration(architectures.blip(letters)).eval()
    pixels = to_model(np.stack([pictures.picture(seed, held_out=True).pixels for seed in range(6)]))

    def alike():
        with torch.no_grad():
            theirs = eyes.vision_model(pixels).last_hidden_state.flatten(1)
            ours = model.vision_model(pixels).last_hidden_state.flatten(1)
        return [float(torch.corrcoef(torch.stack(pair))[0, 1]) for pair in zip(ours, theirs, strict=True)]

    assert max(alike()) < 0.3
    blip.take_eyes(model, eyes)
    assert min(alike()) > 0.5


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
