import numpy as np
import pytest
import torch

from pipeline.starter import clip, pictures, scene, wording
from pipeline.starter.tokenizers import clip_tokenizer
from pipeline.starter.vae import to_model


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    captions = [wording.caption(scene.scene(seed), seed=seed) for seed in range(500)]
    return clip_tokenizer(captions, tmp_path_factory.mktemp("clip") / "tokenizer")


def test_it_is_a_clip_of_77_tokens_and_64_px(words):
    model = clip.build(words).eval()
    assert model.config.text_config.max_position_embeddings == 77
    assert model.config.text_config.vocab_size == len(words)
    text = words(["a red circle", "a"], padding="max_length", return_tensors="pt")
    with torch.no_grad():
        made = model(pixel_values=to_model(np.stack([pictures.picture(1).pixels] * 3)), **text)
    assert made.logits_per_text.shape == (2, 3)
    assert made.text_embeds.shape == (2, clip.WIDTH)


def test_a_text_is_pooled_at_its_first_end_whatever_the_padding(words):
    model = clip.build(words).eval()
    with torch.no_grad():
        short = model.get_text_features(**words(["a red circle"], return_tensors="pt"))
        padded = model.get_text_features(**words(["a red circle"], padding="max_length", return_tensors="pt"))
        other = model.get_text_features(**words(["a blue circle"], return_tensors="pt"))
    one, same, different = (getattr(found, "pooler_output", found) for found in (short, padded, other))
    assert torch.allclose(one, same, atol=1e-4)
    assert not torch.allclose(one, different, atol=1e-2)


def contrast(model, words):
    """CLIP's loss over 16 of the pictures that it trained on, ln 16 = 2.77 at chance."""
    drawn = [pictures.picture(seed, held_out=False) for seed in range(16)]
    text = words([one.caption for one in drawn], padding=True, return_tensors="pt")
    with torch.no_grad():
        return model(
            pixel_values=to_model(np.stack([one.pixels for one in drawn])), **text, return_loss=True
        ).loss.item()


def test_it_begins_at_chance_and_learns(words, tmp_path, monkeypatch):
    monkeypatch.setattr(clip, "POOL", 16)
    before = clip.build(words).eval()
    model = clip.train(words, tmp_path, steps=15, batch=16, say=lambda text: None)
    assert not model.training
    assert contrast(before, words) == pytest.approx(np.log(16), abs=0.4)
    assert contrast(model, words) < contrast(before, words) - 0.2


def test_retrieval_counts_captions_that_find_their_own_picture(words):
    class Planted:
        """Scores the right picture highest for the first seven captions, the next one for all others."""

        def __call__(self, *, pixel_values, input_ids, attention_mask):
            self.logits_per_text = torch.eye(len(pixel_values)).roll(1, dims=1)
            self.logits_per_text[:7] = torch.eye(len(pixel_values))[:7]
            return self

    assert clip.retrieval(Planted(), words, count=10) == pytest.approx(0.7)
