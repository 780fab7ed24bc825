import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers import models as kinds
from tokenizers.processors import TemplateProcessing
from transformers import (
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    Blip2QFormerConfig,
    Blip2VisionConfig,
    BlipImageProcessor,
    OPTConfig,
    PreTrainedTokenizerFast,
    T5Config,
)

from pipeline import models
from pipeline.captioners import blip
from pipeline.errors import ModelError

WORDS = ["<pad>", "</s>", "<unk>", "<image>", "a", "photo", "of", "red", "blue", "thing", "what", "is", "this", "dark"]
QUERIES = 3


def made(text, folder):
    """A tiny BLIP-2 with drawn weights around a language model of this configuration, in a folder like a real one."""
    torch.manual_seed(2)
    vision = Blip2VisionConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=16, patch_size=8
    )
    former = Blip2QFormerConfig(
        vocab_size=20, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        encoder_hidden_size=16,
    )  # fmt: skip
    config = Blip2Config(
        vision_config=vision.to_dict(), qformer_config=former.to_dict(), text_config=text.to_dict(),
        num_query_tokens=QUERIES, image_token_index=3,
    )  # fmt: skip
    model = Blip2ForConditionalGeneration(config)
    with torch.no_grad():
        for one in model.parameters():
            one.normal_(std=0.6)
    words = Tokenizer(kinds.WordLevel({word: place for place, word in enumerate(WORDS)}, "<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    side = "</s> $A" if text.model_type == "opt" else "$A </s>"
    words.post_processor = TemplateProcessing(single=side, special_tokens=[("</s>", 1)])
    special = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, **special)
    looks = BlipImageProcessor(size={"height": 16, "width": 16})
    processor = Blip2Processor(looks, tokenizer, num_query_tokens=QUERIES)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return str(folder)


LANGUAGE = {
    "opt": OPTConfig(
        vocab_size=len(WORDS), hidden_size=16, ffn_dim=32, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=64, word_embed_proj_dim=16, pad_token_id=0, bos_token_id=1, eos_token_id=1,
    ),
    "t5": T5Config(
        vocab_size=len(WORDS), d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2,
        pad_token_id=0, eos_token_id=1, decoder_start_token_id=0,
    ),
}  # fmt: skip


@pytest.fixture(scope="module", params=LANGUAGE)
def blip2(request, tmp_path_factory):
    return made(LANGUAGE[request.param], tmp_path_factory.mktemp(request.param) / "blip2")


def rows(count=3):
    """Pictures that differ as far as they can: black, white, noise."""
    noise = np.random.default_rng(4).integers(0, 256, (20, 24, 3), np.uint8)
    return [{"pixels": one} for one in (np.zeros_like(noise), np.full_like(noise, 255), noise)][:count]


@pytest.mark.parametrize("prompt", ["", "what is this"])
def test_a_blip2_says_what_transformers_has_it_say_without_the_prompt(blip2, prompt):
    said = blip.caption(rows(), blip.Params(model=blip2, prompt=prompt, num_beams=1, max_tokens=6, batch_size=2))
    model, processor = models.load_blip(blip2)
    for row, text in zip(rows(), said, strict=True):
        inputs = processor(images=row["pixels"].copy(), text=prompt, return_tensors="pt")
        ids = model.generate(**inputs, max_new_tokens=6, max_length=None)
        (whole,) = processor.batch_decode(ids, skip_special_tokens=True)
        if model.language_model.config.model_type == "opt":
            whole = whole.strip().removeprefix(prompt)
        assert text == " ".join(whole.split())
    assert all(said)


def test_a_blip2_has_candidates_by_beam_and_by_draw(blip2):
    beams = blip.propose(rows(), blip.Params(model=blip2, num_beams=3, candidates=3, max_tokens=5))
    assert [texts[0] for texts in beams] == blip.caption(rows(), blip.Params(model=blip2, max_tokens=5))
    drawing = blip.Params(model=blip2, top_p=0.95, candidates=5, max_tokens=5)
    together = blip.propose(rows(), drawing)
    assert any(len(texts) > 1 for texts in together)
    assert [blip.propose([row], drawing)[0] for row in rows()] == together


def test_what_is_no_blip_is_refused_by_its_kind(tmp_path):
    save_file({"weight": torch.zeros(1)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "git"}))
    with pytest.raises(ModelError, match=r"caption\.model.*no BLIP captioner.*model_type git; blip and blip-2 do"):
        blip.caption(rows(1), blip.Params(model=str(tmp_path)))
