import numpy as np
import pyarrow as pa
import pytest
import torch

from pipeline import models
from pipeline.stage import ensure, fingerprint
from pipeline.trainset import latents, texts
from pipeline.trainset.loader import ParquetExamples

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


def test_rows_of_models_with_one_encoder_that_were_stored_before_sdxl_are_found(tools, params, monkeypatch):
    assert fingerprint(texts, params, "w") == "c1cbfc747a6572dd"
    assert fingerprint(latents, latents.Params(base="x"), "w") == "6bdaf3f9bde56d0b"
    rows, real = [{"caption": caption} for caption in CAPTIONS], texts.run
    with monkeypatch.context() as old:
        kept = [field for field in texts.ADDS if field.name != "texts__pooled"]
        old.setattr(texts, "ADDS", pa.schema(kept))
        old.setattr(
            texts, "run", lambda *given: [{field.name: row[field.name] for field in kept} for row in real(*given)]
        )
        ensure(texts, rows[:2], params, tools)
    stored = ensure(texts, rows, params, tools)
    assert [(stat.computed, stat.cached) for stat in tools.stats] == [(2, 0), (2, 2)]
    examples = ParquetExamples([], stored, stored, digest="d", scale=1.0)
    assert examples.empty_text.shape == (77, 16)
    assert examples.empty_pooled is None


def test_the_summary_is_kept_where_there_is_one(tools, sdxl):
    stored = ensure(texts, [{"caption": ""}, {"caption": "a red kite"}], texts.Params(base=str(sdxl)), tools)
    for zeros in (False, True):
        examples = ParquetExamples([], stored, stored, digest="d", scale=1.0, crops=stored, nothing_is_zeros=zeros)
        assert examples.empty_pooled.shape == (20,)
        assert (examples.empty_pooled.abs().max() == 0) == (examples.empty_text.abs().max() == 0) == zeros
