"""How much of a caption the text encoder reads: 77 tokens for CLIP, begin and end among them."""

import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE

from pipeline import families
from pipeline.original import tokenizer

CLIPS = 77
"""Tokens that CLIP's text encoders read (https://arxiv.org/abs/2103.00020, section 2.4)."""


@dataclass(frozen=True, slots=True)
class Length:
    """How long a caption is: its tokens, begin and end among them, and how many of its characters are read."""

    tokens: int
    read: int


class Ruler:
    """Measures captions by the base model's own tokenizer, the first one where there are two.

    `folder` is the located model's; None where it is not on this machine: CLIP's own words, which every Stable
    Diffusion has.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    @cached_property
    def _place(self) -> Path | None:
        """The tokenizer's folder."""
        if self._folder is None:
            return None
        return self._folder / families.tokenizer_of(families.of(self._folder).text_encoders[0])

    @cached_property
    def _told(self) -> dict[str, Any]:
        path = self._place / "tokenizer_config.json" if self._place else None
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path and path.is_file() else {}

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        if self._place and (self._place / "tokenizer.json").is_file():
            found = Tokenizer.from_file(str(self._place / "tokenizer.json"))
            found.no_truncation()
            found.no_padding()
            return found
        if self._place is None:
            return _clips(*tokenizer.words(), pad=tokenizer.END)
        vocab, merges = BPE.read_file(str(self._place / "vocab.json"), str(self._place / "merges.txt"))
        pad = self._told.get("pad_token", tokenizer.END)
        return _clips(vocab, merges, pad=pad["content"] if isinstance(pad, dict) else pad)

    @property
    def longest(self) -> int:
        """Tokens that are read, begin and end among them."""
        return int(self._told.get("model_max_length", CLIPS))

    def measure(self, caption: str) -> Length:
        """The caption's tokens, and how many of its characters are read: all of them where it is short enough."""
        # what is no text would end in an error; it counts as the sign for such
        found = self._tokenizer.encode(caption.encode("utf-8", "replace").decode())
        tokens = len(found)
        if tokens <= self.longest:
            return Length(tokens, len(caption))
        # where the end belongs, the first token that is cut stands
        start: int = found.offsets[self.longest - 1][0]
        return Length(tokens, len(caption[:start].rstrip()))

    def read(self, caption: str) -> int:
        """Characters of the caption that are read; all of them where it is short enough."""
        return self.measure(caption).read


def surely_read(caption: str) -> bool:
    """Whether CLIP reads the caption to its end, as far as its letters tell: no token is less than one byte."""
    return len(unicodedata.normalize("NFC", caption).lower().encode("utf-8", "replace")) <= CLIPS - 2


def _clips(vocab: dict[str, int], merges: Sequence[tuple[str, str]], *, pad: str) -> Tokenizer:
    """CLIP's tokenizer as transformers' CLIPTokenizer puts it together, without the seconds that its import takes."""
    made = Tokenizer(
        BPE(vocab, list(merges), continuing_subword_prefix="", end_of_word_suffix="</w>", unk_token=tokenizer.END)
    )
    made.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    words = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(words), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    made.add_special_tokens([tokenizer.START, tokenizer.END, pad])
    end, begin = ((one, vocab[one]) for one in (tokenizer.END, tokenizer.START))
    made.post_processor = processors.RobertaProcessing(end, begin, trim_offsets=False, add_prefix_space=False)
    return made
