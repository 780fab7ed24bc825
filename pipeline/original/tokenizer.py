"""CLIP's tokenizer, as every Stable Diffusion has it, from the words that open_clip ships; single files have none."""

import gzip
import json
from importlib.util import find_spec
from pathlib import Path

from pipeline.errors import ModelError

FILE = "bpe_simple_vocab_16e6.txt.gz"
WORDS = 49_408
"""Ids: 256 bytes, the same 256 at the end of a word, 48894 merges, start and end of a text."""
START, END = "<|startoftext|>", "<|endoftext|>"


def write(folder: Path, *, pad: str = END) -> None:
    """Write the tokenizer into a folder as transformers saves it; `pad` fills texts up to 77 tokens.

    Raises:
        ModelError: open_clip is not installed, or without its words.
    """
    # seconds of imports
    from transformers import CLIPTokenizer

    ids, merges = words()
    tokenizer = CLIPTokenizer(vocab=ids, merges=merges, pad_token=pad, model_max_length=77)
    tokenizer.save_pretrained(folder)
    # what older releases and other programs read
    (folder / "vocab.json").write_text(json.dumps(ids, ensure_ascii=False), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def words() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """CLIP's words with their ids, and the pairs that are merged into them, in their order.

    Raises:
        ModelError: open_clip is not installed, or without its words.
    """
    merges = _merges()
    letters = list(_letters().values())
    vocab = [*letters, *(f"{one}</w>" for one in letters), *("".join(pair) for pair in merges), START, END]
    return {word: number for number, word in enumerate(vocab)}, merges


def _merges() -> list[tuple[str, str]]:
    spec = find_spec("open_clip")
    places = [Path(one) / FILE for one in (spec.submodule_search_locations or [])] if spec else []
    found = next((one for one in places if one.is_file()), None)
    if found is None:
        raise ModelError(
            "the tokenizer's words come with open_clip, and are not there",
            field=FILE,
            remedy="Install it: pip install open_clip_torch.",
        )
    lines = gzip.decompress(found.read_bytes()).decode("utf-8").split("\n")
    pairs = [tuple(line.split()) for line in lines[1 : WORDS - 512 - 2 + 1]]
    return [(one, other) for one, other in pairs]


def _letters() -> dict[int, str]:
    """A letter for each byte, in CLIP's order: those that can be printed first (as GPT-2's tokenizer has it)."""
    shown = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {**{byte: chr(byte) for byte in shown}, **{byte: chr(256 + at) for at, byte in enumerate(hidden)}}
