import numpy as np
import torch
from diffusers import StableDiffusionXLPipeline

from pipeline import models
from pipeline.starter.sdxl import SUMMARY, WIDTHS
from pipeline.trainset import encoders


def test_pixels_become_the_vaes_own_moments(base):
    batch = np.random.default_rng(0).integers(0, 256, (2, 16, 24, 3), np.uint8)
    found = encoders.pixels(base, revision=None, device="cpu")(batch)
    assert found.shape == (2, 8, 4, 6)
    assert found.dtype == np.float32
    with torch.no_grad():
        inputs = torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 127.5 - 1
        wanted = models.load_vae(base).encode(inputs).latent_dist
    np.testing.assert_allclose(found, torch.cat([wanted.mean, wanted.logvar], 1), atol=1e-5)


def test_captions_become_hidden_states_and_their_length_is_told_uncut(base):
    found = encoders.captions(base, revision=None, device="cpu")(["", "ab", "w " * 100])
    assert found.hidden.shape == (3, 77, 16)
    assert found.pooled is None
    assert found.used == [2, 4, 102]
    encoder, tokenizer = models.load_text_encoder(base)
    ids = tokenizer("ab", padding="max_length", truncation=True, return_tensors="pt").input_ids
    with torch.no_grad():
        np.testing.assert_allclose(found.hidden[1], encoder(ids).last_hidden_state[0], atol=1e-5)


def test_captions_for_sdxl_are_those_of_its_pipeline(sdxl):
    """Two encoders of different widths: exchanged ones, last hidden states or another's summary would differ."""
    captions = ["", "a red circle", "a red circle on a blue ground, a small square above it"]
    found = encoders.captions(str(sdxl), revision=None, device="cpu")(captions)
    with torch.no_grad():
        text, _, pooled, _ = StableDiffusionXLPipeline.from_pretrained(sdxl).encode_prompt(captions)
    assert found.hidden.shape == (3, 77, sum(WIDTHS))
    assert found.pooled.shape == (3, SUMMARY)
    np.testing.assert_allclose(found.hidden, text, atol=1e-6)
    np.testing.assert_allclose(found.pooled, pooled, atol=1e-6)
