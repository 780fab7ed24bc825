import numpy as np
import pytest
import torch
from transformers import (
    BertTokenizer,
    BlipConfig,
    BlipForImageTextRetrieval,
    BlipImageProcessor,
    BlipProcessor,
    BlipTextConfig,
    BlipVisionConfig,
)

from pipeline.errors import ModelError
from pipeline.matching.itm import Matcher

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "a", "red", "blue", "plain", "picture"]
TRUTH = {"red": (220, 30, 30), "blue": (30, 30, 220)}


def plain(color):
    return np.full((40, 30, 3), TRUTH[color], np.uint8)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A tiny BLIP with a matching head, of drawn weights."""
    torch.manual_seed(0)
    tokenizer = BertTokenizer(vocab={word: place for place, word in enumerate(WORDS)}, model_max_length=16)
    shared = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = BlipTextConfig(
        vocab_size=len(WORDS), encoder_hidden_size=16, max_position_embeddings=16, bos_token_id=5, eos_token_id=3,
        pad_token_id=0, sep_token_id=3, attention_probs_dropout_prob=0.0, hidden_dropout_prob=0.0,
        **shared,
    )  # fmt: skip
    vision = BlipVisionConfig(image_size=16, patch_size=8, **shared)
    built = BlipForImageTextRetrieval(BlipConfig(text_config=text.to_dict(), vision_config=vision.to_dict()))
    processor = BlipProcessor(BlipImageProcessor(size={"height": 16, "width": 16}), tokenizer)
    folder = tmp_path_factory.mktemp("itm")
    built.save_pretrained(folder)
    processor.save_pretrained(folder)
    return str(folder)


def test_the_numbers_are_those_of_transformers_whatever_stands_beside(model):
    texts = ["a plain red", "a blue picture", "plain"]
    matcher = Matcher(model)
    found = matcher.scores([plain("red")] * 3, texts)
    loaded, processor = matcher._model, matcher._processor
    for text, value in zip(texts, found, strict=True):
        inputs = processor(images=plain("red"), text=text, return_tensors="pt")
        with torch.no_grad():
            alone = loaded(**inputs).itm_score.softmax(dim=-1)[0, 1]
        assert value == pytest.approx(100 * float(alone), abs=1e-3)
    assert matcher.scores([], []) == []


def test_a_captioner_without_a_head_is_refused():
    with pytest.raises(ModelError, match=r"caption\.matcher.*no head"):
        Matcher("starter")
