"""The starter models' tokenizers: a small byte-level BPE for CLIP (any text can be encoded), a WordPiece for BLIP."""

import json
import string
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import BertTokenizer, CLIPTokenizer

START, END = "<|startoftext|>", "<|endoftext|>"


def clip_tokenizer(captions: Iterable[str], folder: Path) -> CLIPTokenizer:
    """Learn merges from the captions and write `vocab.json` and `merges.txt` into `folder`, in CLIP's own order.

    Ids: 256 bytes, the same 256 at the end of a word, the merges, start, end. The end has the highest id, which
    older code relies on to find the pooled position.
    """
    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    learner.train_from_iterator(
        captions,
        trainers.BpeTrainer(vocab_size=900, initial_alphabet=alphabet, end_of_word_suffix="</w>", show_progress=False),
    )
    merges = [tuple(pair) for pair in json.loads(learner.to_str())["model"]["merges"]]
    tokens = [*alphabet, *(f"{letter}</w>" for letter in alphabet)]
    tokens += [token for token in dict.fromkeys("".join(pair) for pair in merges) if token not in set(tokens)]
    vocab = {token: number for number, token in enumerate([*tokens, START, END])}
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=77)
    tokenizer.save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tokenizer


def blip_tokenizer(captions: Iterable[str], folder: Path) -> BertTokenizer:
    """Write `vocab.txt` into `folder`: BERT's special tokens, BLIP's [DEC] and [ENC], letters, the captions' words."""
    letters = string.ascii_lowercase + string.digits
    words = sorted({word for caption in captions for word in caption.replace(",", " ").split() if len(word) > 1})
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "[ENC]", *string.punctuation]
    tokens += [*letters, *(f"##{letter}" for letter in letters), *words]
    vocab = {token: number for number, token in enumerate(tokens)}
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = BertTokenizer(vocab=vocab, model_max_length=64)
    tokenizer.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    return tokenizer
