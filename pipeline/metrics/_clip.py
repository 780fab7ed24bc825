"""Pictures and texts as CLIP sees them: directions in one space."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pipeline import models

BATCH = 16


class Clip:
    """A CLIP that turns pictures (height x width x 3 bytes, RGB) and texts into unit vectors, N x D float32.

    Raises:
        ModelError: the model is not there and cannot be had.
    """

    def __init__(self, reference: str, *, revision: str | None = None, device: str = "cpu") -> None:
        self._model, self._processor = models.load_clip(reference, revision=revision, device=device)

    def pictures(self, pictures: Sequence[NDArray[np.uint8]]) -> Tensor:
        """Directions of pictures."""

        def embed(part: list[NDArray[np.uint8]]) -> Any:  # noqa: ANN401 - transformers has no types
            # canonical pixels are read-only, of which torch warns
            copies = [one.copy() for one in part]
            pixels = self._processor.image_processor(images=copies, return_tensors="pt")["pixel_values"]
            return self._model.get_image_features(pixel_values=pixels.to(self._model.device))

        return _directions(embed, pictures)

    def texts(self, texts: Sequence[str]) -> Tensor:
        """Directions of texts, cut at the model's length (77 tokens)."""

        def embed(part: list[str]) -> Any:  # noqa: ANN401
            tokens = self._processor.tokenizer(part, padding=True, truncation=True, return_tensors="pt")
            return self._model.get_text_features(**tokens.to(self._model.device))

        return _directions(embed, texts)


@torch.no_grad()
def _directions(embed: Callable[[list[Any]], Any], items: Sequence[Any]) -> Tensor:
    parts = [embed(list(items[start : start + BATCH])).pooler_output for start in range(0, len(items), BATCH)]
    return functional.normalize(torch.cat(parts).float().cpu(), dim=1)
