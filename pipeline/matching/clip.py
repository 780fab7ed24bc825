"""Pictures and texts as a CLIP of open_clip sees them: directions in one space."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from pipeline import keeping, models, openclip

BATCH = 32


class Clip:
    """Turns pictures (height x width x 3 bytes, RGB) and texts into unit vectors, N x D float32.

    The model lies in open_clip's layout, or in that of transformers. `field` is where the recipe names it.

    Raises:
        ModelError: the model is not there and cannot be had.
    """

    def __init__(
        self, reference: str, *, revision: str | None = None, device: str = "cpu", field: str = "evaluate.clip"
    ) -> None:
        folder = models.locate(reference, revision, part="open_clip", field=field)
        self._device = models.device_of(device)
        self._model, self._see, self._read = _loaded(folder, models.weights_hash(folder), self._device)

    def pictures(self, pictures: Sequence[NDArray[np.uint8]]) -> Tensor:
        """Directions of pictures."""
        return self._directions(
            pictures,
            lambda part: torch.stack([self._see(Image.fromarray(one)) for one in part]),
            self._model.encode_image,
        )

    def texts(self, texts: Sequence[str]) -> Tensor:
        """Directions of texts, cut at the model's length (77 tokens)."""
        return self._directions(texts, lambda part: self._read(list(part)), self._model.encode_text)

    def scores(self, pictures: Sequence[NDArray[np.uint8]], texts: Sequence[str]) -> list[float]:
        """100 x max(cosine, 0) of each picture and the text beside it (Hessel et al. 2021); a picture is seen once."""
        if len(pictures) != len(texts):
            raise ValueError(f"{len(pictures)} pictures, {len(texts)} texts")
        if not pictures:
            return []
        seen, place_of = distinct(pictures)
        cosines = (self.pictures(seen)[place_of] * self.texts(texts)).sum(dim=1)
        return [float(one) for one in 100 * cosines.clamp(min=0)]

    @torch.inference_mode()
    def _directions(
        self, items: Sequence[Any], ready: Callable[[Sequence[Any]], Tensor], encode: Callable[..., Tensor]
    ) -> Tensor:
        parts = [
            encode(ready(items[start : start + BATCH]).to(self._device), normalize=True).float().cpu()
            for start in range(0, len(items), BATCH)
        ]
        return torch.cat(parts)


def distinct(pictures: Sequence[NDArray[np.uint8]]) -> tuple[list[NDArray[np.uint8]], list[int]]:
    """The pictures without repeats of the same array, and where each stands among them."""
    places: dict[int, int] = {}
    found: list[NDArray[np.uint8]] = []
    place_of: list[int] = []
    for one in pictures:
        if id(one) not in places:
            places[id(one)] = len(found)
            found.append(one)
        place_of.append(places[id(one)])
    return found, place_of


@keeping.kept(1)
def _loaded(folder: Path, _hash: str, device: str) -> tuple[Any, Any, Any]:
    model, see, read = openclip.load(folder)
    return model.to(device), see, read
