"""Captions by BLIP (Li et al. 2022) through transformers: the starter's, Salesforce's -base and -large, or your own."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, Field

from pipeline.manifest import Row
from pipeline.model_files import locate, weights_hash

VERSION = 1
DESCRIPTION = "A sentence by BLIP: the starter's, Salesforce/blip-image-captioning-base or -large, or your own."
LOOKS = True
READS = ()


class Params(BaseModel, frozen=True, extra="forbid"):
    """What decides the captions. Weights are known by their hash, so another name of the same model changes nothing."""

    model: str = Field(
        default="starter", exclude=True, description="starter, a folder, or a hub id of a BLIP captioner"
    )
    revision: str | None = Field(default=None, exclude=True, description="commit of the hub model")
    prompt: str = Field(default="", description="words that each caption begins with, such as: a photo of")
    max_tokens: int = Field(default=40, ge=1, le=200, description="longest caption, in tokens, 1 to 200")
    num_beams: int = Field(default=3, ge=1, le=16, description="captions followed at a time, 1 to 16; LAVIS takes 3")
    top_p: float | None = Field(
        default=None, gt=0, lt=1, description="draw words from this share of the likeliest, 0 to 1; null: the best beam"
    )
    seed: int = Field(default=0, ge=0, lt=2**63, description="decides what top_p draws")
    dtype: Literal["float32", "bfloat16", "float16"] = Field(
        default="float32", description="number format of the model"
    )
    batch_size: int = Field(default=8, ge=1, le=256, description="pictures looked at together, 1 to 256")


def weights(params: Params) -> str:
    """Hash of the model's weights, configuration and words.

    Raises:
        ModelError: the model is not there and cannot be had.
    """
    return weights_hash(locate(params.model, params.revision, part="blip", field="caption.model"))


def provenance(params: Params) -> str:
    """Captioner, model and revision, and the settings that are not the usual ones."""
    model = params.model if params.revision is None else f"{params.model}@{params.revision}"
    usual = Params()
    told = params.model_dump(exclude={"batch_size"})
    return " ".join(["blip", model, *(f"{name}={one}" for name, one in told.items() if one != getattr(usual, name))])


def caption(rows: Sequence[Row], params: Params, *, device: str = "cpu") -> list[str]:
    """One sentence a picture, from its `pixels`. Drawn words depend on the seed and the picture, not on its company."""
    # ten seconds of imports, which a run whose captions are all stored should not take
    import torch

    from pipeline import models

    model, processor = models.load_blip(
        params.model, revision=params.revision, device=device, dtype=params.dtype, field="caption.model"
    )
    size = 1 if params.top_p else params.batch_size
    said: list[str] = []
    for start in range(0, len(rows), size):
        # copies, since canonical pixels are read-only and torch takes none such
        pictures = [np.array(row["pixels"]) for row in rows[start : start + size]]
        # transformers draws from the global stream alone
        with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if model.device.type == "cuda" else []):
            torch.manual_seed(params.seed)
            said += _generate(model, processor, pictures, params)
    return said


def _generate(model: Any, processor: Any, pictures: list[Any], params: Params) -> list[str]:  # noqa: ANN401 - untyped
    text = [params.prompt] * len(pictures) if params.prompt else None
    inputs = processor(images=pictures, text=text, return_tensors="pt").to(model.device)
    inputs["pixel_values"] = inputs["pixel_values"].to(model.dtype)
    how = {"do_sample": True, "top_p": params.top_p} if params.top_p else {"num_beams": params.num_beams}
    ids = model.generate(**inputs, max_new_tokens=params.max_tokens, max_length=None, **how)
    # the first token says "begin", and not every tokenizer knows it as special
    return [" ".join(one.split()) for one in processor.batch_decode(ids[:, 1:], skip_special_tokens=True)]
