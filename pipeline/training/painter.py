"""What paints, as a training sees it: a UNet, and the text encoders where they are at work in every step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.loaders import TextualInversionLoaderMixin
from torch import Tensor, nn

from pipeline.training.data import Batch, Examples
from pipeline.training.told import Told


@dataclass(frozen=True)
class Reader:
    """A text encoder with the tokenizer that its captions pass through."""

    encoder: Any
    tokenizer: Any


class TextEncoders(nn.Module):
    """A base model's text encoders, each a child by its folder's name: `text_encoder`, of SDXL also `text_encoder_2`.

    Stable Diffusion's UNet reads its encoder's last hidden state. SDXL's (`penultimate`) reads those before the last
    layer of both encoders, without final norm, side by side; and the second's projected state at the end of the text,
    as the caption's summary (Podell et al. 2023, section 2.1; `encode_prompt` of diffusers' pipeline).
    """

    def __init__(self, readers: Mapping[str, Reader], *, penultimate: bool = False) -> None:
        super().__init__()
        for name, one in readers.items():
            self.add_module(name, one.encoder)
        self.tokenizers = {name: one.tokenizer for name, one in readers.items()}
        self.penultimate = penultimate

    @property
    def encoders(self) -> dict[str, Any]:
        """The encoders by name."""
        return dict(self.named_children())

    def forward(self, captions: Sequence[str]) -> tuple[Tensor, Tensor | None]:
        """Hidden states, B x 77 x D, and summaries, B x P or None; captions are padded, and cut, to 77 tokens."""
        hidden, pooled = [], None
        for name, encoder in self.encoders.items():
            # a word of several vectors stands for all of them, as in a pipeline's prompts
            words = TextualInversionLoaderMixin().maybe_convert_prompt(list(captions), self.tokenizers[name])
            made = self.tokenizers[name](words, padding="max_length", truncation=True, return_tensors="pt")
            ids = made.input_ids.to(encoder.device)
            if self.penultimate:
                answer = encoder(ids, output_hidden_states=True)
                hidden.append(answer.hidden_states[-2])
                pooled = getattr(answer, "text_embeds", None)
            else:
                hidden.append(encoder(ids)[0])
        return torch.cat(hidden, dim=-1), pooled


class Painter(nn.Module):
    """A UNet with `texts`, the encoders that read captions in each step; without them, captions come from the cache.

    `zeros` says that zeros stand for no caption where `texts` read them (see `families.nothing_is_zeros`).
    """

    def __init__(self, unet: Any, texts: TextEncoders | None = None, *, zeros: bool = False) -> None:  # noqa: ANN401
        super().__init__()
        self.unet, self.texts, self.zeros = unet, texts, zeros
        self.device: torch.device = unet.device
        """Where it lies; diffusers looks through all modules for it, which no step should cost."""

    @property
    def dtype(self) -> torch.dtype:
        """The UNet's number format."""
        found: torch.dtype = self.unet.dtype
        return found

    @property
    def parts(self) -> dict[str, Any]:
        """The models by their folders' names: `unet`, and the encoders that are at work."""
        return {"unet": self.unet, **(self.texts.encoders if self.texts is not None else {})}

    @property
    def tokenizers(self) -> dict[str, Any]:
        """The tokenizers of the encoders that are at work, by their folders' names."""
        found = self.texts.tokenizers if self.texts is not None else {}
        return {name.replace("text_encoder", "tokenizer"): one for name, one in found.items()}

    def save_memory(self) -> None:
        """Compute activations once more in the backward pass, and keep few."""
        self.unet.enable_gradient_checkpointing()
        for encoder in self.texts.encoders.values() if self.texts is not None else ():
            encoder.gradient_checkpointing_enable()

    def told(self, batch: Batch, examples: Examples, *, dropped: Tensor | None = None) -> Told:
        """What the UNet is told of a batch, on the painter's device, without the captions of the `dropped` (B)."""
        if self.texts is None:
            told = Told.of(batch)
            return (told if dropped is None else told.without(dropped, examples)).to(self.device)
        left = [False] * len(batch.ids) if dropped is None else dropped.tolist()
        captions = ["" if gone else caption for gone, caption in zip(left, batch.captions, strict=True)]
        text, pooled = self.texts(captions)
        if self.zeros:
            stays = torch.tensor([bool(caption) for caption in captions], device=text.device)
            text = text * stays[:, None, None]
            pooled = None if pooled is None else pooled * stays[:, None]
        ids = batch.time_ids
        return Told(text, pooled if ids is not None else None, None if ids is None else ids.to(self.device))
