"""New words for a text encoder: their vectors alone are learned, and every other word's stays as it is, bit for bit."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from pipeline.errors import RecipeError
from pipeline.training import weights
from pipeline.training.painter import TextEncoders

FILE = "learned_embeds.safetensors"
"""Name under which diffusers and the web UIs know vectors of new words."""
SDXL_KEYS = {"text_encoder": "clip_l", "text_encoder_2": "clip_g"}
"""What the web UIs call SDXL's encoders in such a file."""


class Embedding(nn.Module):
    """A token embedding with further rows, V x D float32, that alone may be trained; it takes ids of any shape."""

    def __init__(self, known: nn.Embedding, vectors: Tensor) -> None:
        super().__init__()
        self.known = known
        self.vectors = nn.Parameter(vectors.detach().clone().float())

    @property
    def weight(self) -> Tensor:
        """All rows, as a plain embedding has them."""
        return torch.cat([self.known.weight, self.vectors.to(self.known.weight)])

    def forward(self, ids: Tensor) -> Tensor:
        """The rows of `ids`; those from the number of known words on are new."""
        count = len(self.known.weight)
        found: Tensor = self.known(ids.clamp(max=count - 1))
        new = self.vectors[(ids - count).clamp(min=0)].to(found.dtype)
        return torch.where((ids >= count)[..., None], new, found)


def add(texts: TextEncoders, placeholder: str, *, vectors: int, words: str) -> None:
    """Teach the encoders and their tokenizers a new word of so many vectors, which begins as what `words` say.

    Each vector begins as one of the words' tokens, in turn; a single one as their mean. In a prompt the placeholder
    stands for all of its vectors, `<a>` for `<a> <a>_1 <a>_2`, as in diffusers' pipelines.

    Raises:
        RecipeError: a tokenizer knows the placeholder already, or `words` have no token.
    """
    for name, encoder in texts.encoders.items():
        tokenizer = texts.tokenizers[name]
        ids = tokenizer(words, add_special_tokens=False).input_ids
        if not ids:
            raise RecipeError(
                "there is nothing to begin with",
                field="train.initial_words",
                value=words,
                remedy="Name what comes close to the new word, such as dog.",
            )
        known = encoder.get_input_embeddings()
        rows = known.weight.detach()[ids].float()
        begun = rows.mean(dim=0, keepdim=True) if vectors == 1 else rows[[at % len(ids) for at in range(vectors)]]
        _extend(encoder, tokenizer, placeholder, begun)


def save(texts: TextEncoders, folder: Path, *, placeholder: str, header: Mapping[str, str]) -> None:
    """Write the new word's vectors as `load_textual_inversion` of diffusers and the web UIs read them.

    With one encoder the placeholder names them, with SDXL's two clip_l and clip_g, and the header the placeholder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = {name: _embedding(encoder).vectors for name, encoder in texts.encoders.items()}
    names = {name: SDXL_KEYS[name] if len(found) > 1 else placeholder for name in found}
    weights.save(
        {names[name]: value for name, value in found.items()},
        folder / FILE,
        {"gesso_placeholder": placeholder, **header},
    )


def load(texts: TextEncoders, folder: Path, *, placeholder: str) -> None:
    """Fill the new word's vectors with what `save` wrote; encoders that do not know it yet learn it."""
    stored = load_file(folder / FILE)
    for name, encoder in texts.encoders.items():
        vectors = stored[SDXL_KEYS[name] if len(texts.encoders) > 1 else placeholder]
        if isinstance(encoder.get_input_embeddings(), Embedding):
            _embedding(encoder).vectors.data.copy_(vectors)
        else:
            _extend(encoder, texts.tokenizers[name], placeholder, vectors)


def parameters(texts: TextEncoders) -> Sequence[nn.Parameter]:
    """The vectors that may be trained."""
    return [_embedding(encoder).vectors for encoder in texts.encoders.values()]


def _extend(encoder: Any, tokenizer: Any, placeholder: str, vectors: Tensor) -> None:  # noqa: ANN401
    known, count = encoder.get_input_embeddings(), len(tokenizer)
    names = [placeholder, *(f"{placeholder}_{at}" for at in range(1, len(vectors)))]
    if tokenizer.add_tokens(names) != len(names) or count != len(known.weight):
        raise RecipeError(
            "the tokenizer knows this word already",
            field="train.placeholder",
            value=placeholder,
            remedy="Make up another, such as <my-robot>.",
        )
    encoder.set_input_embeddings(Embedding(known, vectors.to(known.weight.device)))
    # a summary is read at the end of the text: published configurations say 2, which stands for the largest id
    for one in (encoder, getattr(encoder, "text_model", encoder)):
        one.config.eos_token_id = tokenizer.eos_token_id
        if hasattr(one, "eos_token_id"):
            one.eos_token_id = tokenizer.eos_token_id


def _embedding(encoder: Any) -> Embedding:  # noqa: ANN401 - transformers has no types
    found: Embedding = encoder.get_input_embeddings()
    return found
