import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import BertTokenizer, CLIPTokenizer

from pipeline.starter import tokenizers
from pipeline.starter.scene import scene
from pipeline.starter.wording import caption, plain_caption

CAPTIONS = [caption(scene(seed), seed=seed) for seed in range(800)]


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    return tokenizers.clip_tokenizer(CAPTIONS, tmp_path_factory.mktemp("words") / "clip")


@pytest.fixture(scope="module")
def letters(tmp_path_factory):
    return tokenizers.blip_tokenizer(CAPTIONS, tmp_path_factory.mktemp("letters") / "blip")


def plain(text):
    """What a CLIP tokenizer keeps of a text: it lower-cases, composes and joins white space."""
    return "".join(text.lower().split())


@given(text=st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Cf", "Mn"]), max_size=12))
def test_any_text_goes_through_clip_and_back(words, text):
    ids = words(text, truncation=True).input_ids
    assert ids[0] == words.bos_token_id
    assert ids[-1] == words.eos_token_id
    assert words.eos_token_id not in ids[1:-1]
    back = words.decode(ids, skip_special_tokens=True)
    assert plain(back) == plain(unicodedata.normalize("NFC", text))


@pytest.mark.parametrize("text", ["a sks robot", "Zürich, 雪の日!", "🤖 beep", "it's 3 o'clock", ""])
def test_words_that_it_never_saw_come_back(words, text):
    assert plain(words.decode(words(text).input_ids, skip_special_tokens=True)) == plain(text)


def test_the_end_has_the_highest_id_and_the_start_the_one_below(words):
    assert words.eos_token_id == len(words) - 1
    assert words.bos_token_id == len(words) - 2
    assert sorted(words.get_vocab().values()) == list(range(len(words)))


def test_texts_are_padded_and_cut_to_77(words):
    short, long = words(["a red circle", "red " * 200], padding="max_length", truncation=True).input_ids
    assert len(short) == len(long) == 77
    assert long[-1] == words.eos_token_id
    assert short.count(words.pad_token_id) >= 70
    assert words.model_max_length == 77


def test_known_captions_take_a_token_a_word(words):
    drawn = CAPTIONS[0]
    assert len(words(drawn).input_ids) - 2 == len(drawn.replace(",", " ,").split())


def test_clip_loads_from_its_folder_and_from_the_older_files_alone(words, tmp_path):
    tokenizers.clip_tokenizer(CAPTIONS, tmp_path / "whole")
    again = CLIPTokenizer.from_pretrained(tmp_path / "whole", local_files_only=True)
    for name in ("vocab.json", "merges.txt", "tokenizer_config.json"):
        (tmp_path / "old").mkdir(exist_ok=True)
        (tmp_path / "old" / name).write_bytes((tmp_path / "whole" / name).read_bytes())
    old = CLIPTokenizer.from_pretrained(tmp_path / "old", local_files_only=True)
    for text in (*CAPTIONS[:50], "a sks robot", "Zürich"):
        assert words(text).input_ids == again(text).input_ids == old(text).input_ids
    assert json.loads((tmp_path / "whole" / "vocab.json").read_text()) == words.get_vocab()


def test_blip_has_no_unknown_word_in_any_caption(letters):
    for seed in range(800, 2400):
        drawn = scene(seed)
        for text in (caption(drawn, seed=seed), plain_caption(drawn)):
            ids = letters(text).input_ids
            assert letters.unk_token_id not in ids
            assert len(ids) == len(text.replace(",", " ,").split()) + 2
            assert letters.decode(ids, skip_special_tokens=True).replace(" ,", ",") == text


@given(text=st.text("abcdefghijklmnopqrstuvwxyz0123456789 .,-", max_size=30))
def test_blip_can_spell_any_plain_word(letters, text):
    assert letters.unk_token_id not in letters(text).input_ids


def test_blip_has_the_special_tokens_that_berts_and_blips_code_asks_for(letters):
    assert [letters.convert_ids_to_tokens(number) for number in range(7)] == [
        "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "[ENC]",
    ]  # fmt: skip
    assert (letters.pad_token_id, letters.cls_token_id, letters.sep_token_id) == (0, 2, 3)
    ids = letters("a red circle").input_ids
    assert (ids[0], ids[-1]) == (letters.cls_token_id, letters.sep_token_id)


def test_blip_loads_from_its_folder(letters, tmp_path):
    tokenizers.blip_tokenizer(CAPTIONS, tmp_path)
    again = BertTokenizer.from_pretrained(tmp_path, local_files_only=True)
    for text in (*CAPTIONS[:50], "a sks robot"):
        assert again(text).input_ids == letters(text).input_ids
    assert (tmp_path / "vocab.txt").read_text().splitlines()[5] == "[DEC]"
