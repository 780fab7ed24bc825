import numpy as np
import pytest
import torch
from pydantic import ValidationError
from transformers import (
    BertTokenizer,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipImageProcessor,
    BlipProcessor,
    BlipTextConfig,
    BlipVisionConfig,
)

from pipeline import models
from pipeline.captioners import blip
from pipeline.errors import ModelError

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "a", "red", "blue", "plain", "picture"]
TRUTH = {"red": (220, 30, 30), "blue": (30, 30, 220)}


def plain(color, height=40, width=30):
    return np.full((height, width, 3), TRUTH[color], np.uint8)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A BLIP that has learned to tell red from blue, in a folder like a real one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    tokenizer = BertTokenizer(vocab={word: place for place, word in enumerate(WORDS)}, model_max_length=16)
    shared = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = BlipTextConfig(
        vocab_size=len(WORDS),
        encoder_hidden_size=16,
        max_position_embeddings=16,
        bos_token_id=5,
        eos_token_id=3,
        sep_token_id=3,
        pad_token_id=0,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        **shared,
    )
    vision = BlipVisionConfig(image_size=16, patch_size=8, **shared)
    built = BlipForConditionalGeneration(BlipConfig(text_config=text.to_dict(), vision_config=vision.to_dict()))
    processor = BlipProcessor(BlipImageProcessor(size={"height": 16, "width": 16}), tokenizer)

    inputs = processor(images=[plain(one) for one in TRUTH], text=[f"a plain {one} picture" for one in TRUTH])
    pixels, ids = torch.tensor(np.stack(inputs["pixel_values"])), torch.tensor(inputs["input_ids"])
    ids[:, 0] = 5
    optimizer = torch.optim.Adam(built.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        built(pixel_values=pixels, input_ids=ids, labels=ids).loss.backward()
        optimizer.step()

    folder = tmp_path_factory.mktemp("blip")
    built.save_pretrained(folder)
    processor.save_pretrained(folder)
    models.release()
    yield str(folder)
    torch.set_num_threads(threads)


def caption(model, colors, **params):
    return blip.caption([{"pixels": plain(one)} for one in colors], blip.Params(model=model, **params))


@pytest.mark.parametrize("num_beams", [1, 3])
def test_it_says_what_it_sees_whatever_the_batch(model, num_beams):
    colors = ["red", "blue", "blue", "red", "blue"]
    for batch_size in (1, 2, 8):
        said = caption(model, colors, num_beams=num_beams, batch_size=batch_size)
        assert said == [f"a plain {one} picture" for one in colors]


def test_a_prompt_begins_the_caption(model):
    assert caption(model, ["blue", "red"], prompt="a plain") == ["a plain blue picture", "a plain red picture"]


def test_the_length_is_capped_in_tokens(model):
    assert caption(model, ["red"], max_tokens=2) == ["a plain"]


def test_drawn_words_depend_on_the_seed_and_the_picture_alone(model):
    together = caption(model, ["red", "blue", "red"], top_p=0.999, seed=4)
    assert together[0] == together[2]
    assert caption(model, ["blue"], top_p=0.999, seed=4) == together[1:2]
    assert caption(model, ["red", "blue", "red"], top_p=0.999, seed=4, batch_size=1) == together
    before = torch.get_rng_state()
    caption(model, ["blue"], top_p=0.5)
    assert torch.equal(before, torch.get_rng_state())


def propose(model, colors, **params):
    return blip.propose([{"pixels": plain(one)} for one in colors], blip.Params(model=model, **params))


def test_several_candidates_are_different_and_the_best_is_the_caption(model):
    found = propose(model, ["red", "blue"], num_beams=4, candidates=3)
    assert [texts[0] for texts in found] == caption(model, ["red", "blue"], num_beams=4)
    assert all(1 < len(texts) == len(set(texts)) <= 3 for texts in found)


def test_drawn_candidates_hang_on_seed_and_picture_not_on_batch_or_order(model):
    how = {"top_p": 0.98, "candidates": 6, "seed": 2}
    colors = ["red", "blue", "blue", "red", "red"]
    found = propose(model, colors, **how, batch_size=5)
    assert found[0] == found[3] == found[4]
    assert found[1] == found[2]
    assert propose(model, colors[::-1], **how, batch_size=2) == found[::-1]
    assert propose(model, ["blue"], **how) == found[1:2]
    drawn = [propose(model, ["blue"], **{**how, "top_p": 0.9999, "seed": seed}) for seed in range(4)]
    assert len({str(one) for one in drawn}) > 1
    # with fewer of them the first are the same ones, whatever their rank
    assert set(propose(model, ["red"], **{**how, "candidates": 2})[0]) <= set(found[0])


def test_where_memory_runs_out_the_batch_is_halved_and_that_is_said_once(model, monkeypatch):
    from pipeline.captioners._generation import Writer

    write, heard = Writer.write, []

    def tight(self, seen):
        if len(seen) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return write(self, seen)

    monkeypatch.setattr(Writer, "write", tight)
    colors = ["red", "blue", "blue", "red", "blue", "red", "red"]
    params = blip.Params(model=model, batch_size=6)
    for _ in range(2):
        found = blip.propose([{"pixels": plain(one)} for one in colors], params, say=heard.append)
        assert [texts[0] for texts in found] == [f"a plain {one} picture" for one in colors]
    assert [text.rpartition(": ")[2] for text in heard] == [
        "from now on 3 pictures at a time instead of 6",
        "from now on 1 pictures at a time instead of 3",
    ]


def test_beams_end_in_no_more_captions_than_there_are():
    with pytest.raises(ValidationError, match="raise num_beams, or draw with top_p"):
        blip.Params(candidates=4)
    assert blip.Params(candidates=4, top_p=0.9).candidates == 4


def test_bf16_sees_the_same(model):
    assert caption(model, ["red", "blue"], dtype="bfloat16") == ["a plain red picture", "a plain blue picture"]


def test_no_pictures_no_captions(model):
    assert caption(model, []) == []


def test_weights_not_names_decide_what_is_stored(model):
    one, two = blip.Params(model=model), blip.Params(model="owner/name", revision="abc")
    assert one.model_dump() == two.model_dump()
    assert blip.weights(one) == models.weights_hash(models.locate(model, part="blip"))


def test_provenance_names_model_revision_and_unusual_settings():
    params = blip.Params(model="owner/name", revision="abc", num_beams=5, batch_size=2)
    assert blip.provenance(params) == "blip owner/name@abc num_beams=5"


def test_a_missing_model_is_the_recipes_fault():
    with pytest.raises(ModelError, match=r"caption\.model.*no such folder"):
        blip.weights(blip.Params(model="/no/such/blip"))
    with pytest.raises(ValidationError):
        blip.Params(num_beams=0)
