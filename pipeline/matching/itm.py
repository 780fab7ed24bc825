"""BLIP's own head that tells whether a text is about a picture (image-text matching, Li et al. 2022, section 3)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import BlipForImageTextRetrieval, BlipProcessor

from pipeline import keeping, models
from pipeline.errors import ModelError
from pipeline.matching.clip import distinct

BATCH = 16


class Matcher:
    """A BLIP with a matching head, such as Salesforce/blip-itm-base-coco or -large-coco.

    Raises:
        ModelError: the model is not there and cannot be had, or has no such head.
    """

    def __init__(
        self, reference: str, *, revision: str | None = None, device: str = "cpu", field: str = "caption.matcher"
    ) -> None:
        folder = models.locate(reference, revision, part="blip", field=field)
        found = _loaded(folder, models.weights_hash(folder), models.device_of(device))
        if found is None:
            raise ModelError(
                "this BLIP has no head that matches texts with pictures",
                field=field,
                value=reference,
                remedy="Name one such as Salesforce/blip-itm-base-coco, or re-rank by clip alone.",
            )
        self._model, self._processor = found

    @torch.inference_mode()
    def scores(self, pictures: Sequence[NDArray[np.uint8]], texts: Sequence[str]) -> list[float]:
        """How sure the head is that each text is about the picture beside it, 0 to 100; a picture is seen once.

        The numbers are those of transformers' model, which looks at a picture again for each text, and on one device.
        """
        if len(pictures) != len(texts):
            raise ValueError(f"{len(pictures)} pictures, {len(texts)} texts")
        found: list[float] = []
        for start in range(0, len(texts), BATCH):
            part, place_of = distinct(pictures[start : start + BATCH])
            found += self._sure(self._see(part)[place_of], texts[start : start + BATCH])
        return found

    def _see(self, pictures: Sequence[NDArray[np.uint8]]) -> Tensor:
        images = [one.copy() for one in pictures]
        pixels = self._processor.image_processor(images=images, return_tensors="pt")["pixel_values"]
        seen: Tensor = self._model.vision_model(pixel_values=pixels.to(self._model.device)).last_hidden_state
        return seen

    def _sure(self, seen: Tensor, texts: Sequence[str]) -> list[float]:
        longest = self._model.config.text_config.max_position_embeddings
        tokens = self._processor.tokenizer(
            list(texts), padding=True, truncation=True, max_length=longest, return_tensors="pt"
        ).to(self._model.device)
        read = self._model.text_encoder(
            input_ids=tokens.input_ids,
            attention_mask=tokens.attention_mask,
            encoder_hidden_states=seen,
            encoder_attention_mask=torch.ones(seen.shape[:-1], dtype=torch.long, device=seen.device),
        ).last_hidden_state
        chances = self._model.itm_head(read[:, 0]).float().softmax(dim=-1)[:, 1]
        return [100 * float(one) for one in chances]


@keeping.kept(1)
def _loaded(folder: Path, _hash: str, device: str) -> tuple[Any, Any] | None:
    """Model and processor; None where the folder has no weights for the head, which would be drawn at random."""
    model, told = BlipForImageTextRetrieval.from_pretrained(
        folder, dtype=torch.float32, use_safetensors=True, local_files_only=True, output_loading_info=True
    )
    if any(name.startswith(("itm_head", "text_encoder")) for name in told["missing_keys"]):
        return None
    return model.to(device).eval(), BlipProcessor.from_pretrained(folder, local_files_only=True)
