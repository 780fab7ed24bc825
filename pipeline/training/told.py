"""What a UNet is told beside noisy latents and their timestep: the caption, and SDXL's also how its picture was cut."""

from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor

from pipeline.training.data import Batch, Examples
from pipeline.training.later import moved


@dataclass(frozen=True)
class Told:
    """`text` B x 77 x D; `pooled` B x P and `time_ids` B x 6 for SDXL, which reads a caption's summary and sizes."""

    text: Tensor
    pooled: Tensor | None = None
    time_ids: Tensor | None = None

    @classmethod
    def of(cls, batch: Batch) -> Self:
        """What a batch with embeddings says, with all captions."""
        if batch.text is None:
            raise ValueError("a batch without embeddings: its captions are for text encoders to read")
        return cls(batch.text, batch.pooled, batch.time_ids)

    def to(self, device: torch.device, dtype: torch.dtype | None = None) -> "Told":
        """The same on another device, captions in another number format; sizes beyond 256 px would not survive bf16."""
        pooled = None if self.pooled is None else moved(self.pooled, device).to(dtype=dtype)
        sizes = None if self.time_ids is None else moved(self.time_ids, device)
        return Told(moved(self.text, device).to(dtype=dtype), pooled, sizes)

    def without(self, dropped: Tensor, examples: Examples) -> "Told":
        """The same without the captions of the `dropped` (B booleans); sizes stay.

        Where a model puts zeros for no caption (`families.nothing_is_zeros`), as SDXL was trained, that is what is left
        of one; diffusers' example for SDXL and sd-scripts tell the UNet the encoders' answer to an empty text there.
        """
        if not dropped.any():
            return self
        text = torch.where(dropped[:, None, None], examples.empty_text.to(self.text.dtype), self.text)
        if self.pooled is None or examples.empty_pooled is None:
            return replace(self, text=text)
        return replace(self, text=text, pooled=torch.where(dropped[:, None], examples.empty_pooled, self.pooled))

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of a UNet2DConditionModel's pass."""
        if self.pooled is None:
            return {"encoder_hidden_states": self.text}
        conditions = {"text_embeds": self.pooled, "time_ids": self.time_ids}
        return {"encoder_hidden_states": self.text, "added_cond_kwargs": conditions}
