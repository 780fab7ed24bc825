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
    before = torch.get_rng_state()
    caption(model, ["blue"], top_p=0.5)
    assert torch.equal(before, torch.get_rng_state())


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
