import json

import open_clip
import pytest
from transformers import CLIPTokenizer

from pipeline.errors import ModelError
from pipeline.original import tokenizer

TEXTS = [
    "a photo of a dog",
    "An astronaut riding a horse on Mars, 4k, (highly detailed:1.2)",
    "naïve café, 猫 🐈 ½",
    "it's   its isn't",
    "",
    "<my-robot> in the rain",
    "x " * 200,
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("words") / "tokenizer"
    tokenizer.write(folder, pad="!")
    return folder


def test_it_cuts_texts_as_open_clip_does(folder):
    words, theirs = CLIPTokenizer.from_pretrained(folder), open_clip.SimpleTokenizer()
    for text in TEXTS:
        ids = words(text, padding="max_length", truncation=True).input_ids
        wanted = theirs([text])[0].tolist()
        assert len(ids) == 77
        assert ids == [one if place < len(ids) else 0 for place, one in enumerate(wanted)]


def test_its_words_have_the_published_ids(folder):
    ids = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    assert len(ids) == tokenizer.WORDS
    assert [ids[word] for word in ("!", "a</w>", "<|startoftext|>", "<|endoftext|>")] == [0, 320, 49406, 49407]
    first = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()[:3]
    assert first == ["#version: 0.2", "i n", "t h"]


def test_padding_is_what_was_asked_for(folder, tmp_path):
    tokenizer.write(tmp_path)
    ids = [CLIPTokenizer.from_pretrained(one)("a", padding="max_length").input_ids for one in (folder, tmp_path)]
    assert [one[-1] for one in ids] == [0, 49407]
    assert [one[:3] for one in ids] == [[49406, 320, 49407]] * 2


def test_without_open_clip_it_says_how_to_get_the_words(tmp_path, monkeypatch):
    monkeypatch.setattr(tokenizer, "FILE", "not-there.gz")
    with pytest.raises(ModelError, match="pip install open_clip_torch"):
        tokenizer.write(tmp_path)
