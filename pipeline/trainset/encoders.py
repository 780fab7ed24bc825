"""A base model's frozen encoders at work: pixels to moments, captions to embeddings.

Apart from the stages that use them, since torch and diffusers take ten seconds to import and stages that find all their
rows stored need neither.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline import families, models
from pipeline.training.painter import Reader, TextEncoders


def pixels(base: str, *, revision: str | None, device: str) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """The model's VAE: N x H x W x 3 bytes to N x 2C x h x w raw moments, computed in the VAE's own precision."""
    vae = models.load_vae(base, revision=revision, device=device)

    @torch.no_grad()
    def encode(batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        tensor = torch.from_numpy(batch).to(vae.device).permute(0, 3, 1, 2).to(vae.dtype) / 127.5 - 1.0
        return np.asarray(vae.encode(tensor).latent_dist.parameters.float().cpu().numpy())

    return encode


@dataclass(frozen=True, eq=False)
class Texts:
    """N captions as a UNet reads them.

    `hidden` is N x tokens x width, `pooled` N x width or None, and `used` each caption's tokens, uncut.
    """

    hidden: NDArray[np.float32]
    pooled: NDArray[np.float32] | None
    used: list[int]


def captions(base: str, *, revision: str | None, device: str) -> Callable[[Sequence[str]], Texts]:
    """The model's text encoders at work; captions are padded and cut to the tokenizers' length."""
    family = families.of(models.locate(base, revision, untrained="unet"))
    readers = {
        part: Reader(*models.load_text_encoder(base, revision=revision, part=part, device=device))
        for part in family.text_encoders
    }
    texts = TextEncoders(readers, penultimate=family.penultimate)
    tokenizer = readers[family.text_encoders[-1]].tokenizer

    @torch.no_grad()
    def encode(batch: Sequence[str]) -> Texts:
        hidden, pooled = texts(batch)
        used = [len(tokenizer(caption).input_ids) for caption in batch]
        return Texts(_array(hidden), None if pooled is None else _array(pooled), used)

    return encode


def _array(tensor: torch.Tensor) -> NDArray[np.float32]:
    return np.asarray(tensor.float().cpu().numpy())
