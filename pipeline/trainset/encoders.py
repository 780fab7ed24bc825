"""A base model's frozen encoders at work: pixels to moments, captions to embeddings.

Apart from the stages that use them, since torch and diffusers take ten seconds to import and stages that find all their
rows stored need neither.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline import models


def pixels(base: str, *, revision: str | None, device: str) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """The model's VAE: N x H x W x 3 bytes to N x 2C x h x w raw moments, computed in the VAE's own precision."""
    vae = models.load_vae(base, revision=revision, device=device)

    @torch.no_grad()
    def encode(batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        tensor = torch.from_numpy(batch).to(vae.device).permute(0, 3, 1, 2).to(vae.dtype) / 127.5 - 1.0
        return np.asarray(vae.encode(tensor).latent_dist.parameters.float().cpu().numpy())

    return encode


def captions(
    base: str, *, revision: str | None, device: str
) -> Callable[[Sequence[str]], tuple[NDArray[np.float32], list[int]]]:
    """The model's text encoder: N captions to N x tokens x width last hidden states, and each one's uncut tokens.

    Captions are padded and cut to the tokenizer's length.
    """
    encoder, tokenizer = models.load_text_encoder(base, revision=revision, device=device)

    @torch.no_grad()
    def encode(batch: Sequence[str]) -> tuple[NDArray[np.float32], list[int]]:
        ids = tokenizer(list(batch), padding="max_length", truncation=True, return_tensors="pt").input_ids
        hidden = encoder(ids.to(encoder.device))[0].float().cpu().numpy()
        return np.asarray(hidden), [len(tokenizer(caption).input_ids) for caption in batch]

    return encode
