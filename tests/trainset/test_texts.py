import numpy as np
import pytest
import torch

from pipeline import models
from pipeline.stage import ensure
from pipeline.trainset import texts

CAPTIONS = ["", "a red kite", "a blue boat on a lake", "w " * 100]


@pytest.fixture
def params(base):
    return texts.Params(base=base)


def embeddings(stored):
    return {
        row["caption"]: np.frombuffer(row["texts__embedding"], np.float32).reshape(
            row["texts__tokens"], row["texts__width"]
        )
        for row in stored.table().to_pylist()
    }


def test_embeddings_are_the_encoders_own(tools, params):
    stored = ensure(texts, [{"caption": caption} for caption in CAPTIONS], params, tools)
    found = embeddings(stored)
    encoder, tokenizer = models.load_text_encoder(params.base)
    for caption in CAPTIONS:
        ids = tokenizer(caption, padding="max_length", truncation=True, return_tensors="pt").input_ids
        with torch.no_grad():
            wanted = encoder(ids).last_hidden_state[0]
        assert found[caption].shape == (77, 16)
        np.testing.assert_allclose(found[caption], wanted, atol=1e-5)
    assert stored.table()["texts__used"].to_pylist() == [2, 10, 18, 102]


def test_a_caption_is_encoded_once(tools, params):
    ensure(texts, [{"caption": caption} for caption in CAPTIONS], params, tools)
    ensure(texts, [{"caption": caption} for caption in [*CAPTIONS, "new", "new"]], params, tools)
    assert [(stat.computed, stat.cached) for stat in tools.stats] == [(4, 0), (1, 4)]


def test_company_changes_nothing(tools, params, monkeypatch):
    together = texts.run([{"caption": caption} for caption in CAPTIONS], params, tools)
    monkeypatch.setattr(texts, "BATCH", 1)
    for one, other in zip(texts.run([{"caption": c} for c in CAPTIONS], params, tools), together, strict=True):
        first, second = (np.frombuffer(row["texts__embedding"], np.float32) for row in (one, other))
        np.testing.assert_allclose(first, second, atol=1e-5)
