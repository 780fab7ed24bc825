"""Captions by BLIP (Li et al. 2022) or BLIP-2 (Li et al. 2023) through transformers: the starter's, or others.

Greedy with one beam, by beam search, or drawn (nucleus sampling) with `top_p`.
"""

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, Self

from pydantic import BaseModel, Field, model_validator

from pipeline.manifest import Row
from pipeline.model_files import locate, weights_hash

if TYPE_CHECKING:
    from pipeline.batches import Batches

VERSION = 2
DESCRIPTION = "A sentence by BLIP or BLIP-2: the starter's, Salesforce/blip-image-captioning-base or -large, or others."
LOOKS = True
SENTENCES = True
READS = ()
ON_CPU, ON_GPU = 16, 64
"""Pictures that are looked at together where the recipe does not say."""


class Params(BaseModel, frozen=True, extra="forbid"):
    """What decides the captions. Weights are known by their hash, so another name of the same model changes nothing."""

    model: str = Field(
        default="starter", exclude=True, description="starter, a folder, or a hub id of a BLIP captioner"
    )
    revision: str | None = Field(default=None, exclude=True, description="commit of the hub model")
    prompt: str = Field(
        default="", description="words that a caption of BLIP begins with, such as: a photo of; a BLIP-2 answers them"
    )
    max_tokens: int = Field(default=40, ge=1, le=200, description="longest caption, in tokens, 1 to 200")
    num_beams: int = Field(
        default=3, ge=1, le=16, description="captions followed at a time, 1 (greedy) to 16; LAVIS takes 3"
    )
    top_p: float | None = Field(
        default=None, gt=0, lt=1, description="draw words from this share of the likeliest, 0 to 1; null: the best beam"
    )
    seed: int = Field(default=0, ge=0, lt=2**63, description="decides what top_p draws")
    candidates: int = Field(
        default=1, ge=1, le=16, description="captions proposed for a picture, 1 to 16; of beams at most num_beams"
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto", description="number format of the model; auto: bfloat16 or float16 on a GPU that has it"
    )
    batch_size: int | None = Field(
        default=None,
        ge=1,
        le=1024,
        exclude=True,
        description="pictures looked at together, 1 to 1024; halved where memory runs out; null: 16, on a GPU 64",
    )

    @model_validator(mode="after")
    def _as_many_beams(self) -> Self:
        if self.top_p is None and self.candidates > self.num_beams:
            raise ValueError(f"{self.num_beams} beams end in no more captions: raise num_beams, or draw with top_p")
        return self


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
    told = params.model_dump()
    return " ".join(["blip", model, *(f"{name}={one}" for name, one in told.items() if one != getattr(usual, name))])


def caption(rows: Sequence[Row], params: Params, *, device: str = "cpu") -> list[str]:
    """The best sentence about each picture, from its `pixels`."""
    return [next(iter(texts), "") for texts in propose(rows, params, device=device)]


def propose(
    rows: Sequence[Row],
    params: Params,
    *,
    device: str = "cpu",
    say: Callable[[str], None] = lambda text: None,  # noqa: ARG005 (nobody listens)
) -> list[list[str]]:
    """Up to `candidates` different sentences about each picture, best first; none depends on the other pictures.

    `say` hears where memory did not hold a batch.

    Raises:
        GessoError: memory does not hold a single picture.
    """
    # ten seconds of imports, which a run whose captions are all stored should not take
    from pipeline import models
    from pipeline.captioners._generation import Writer

    place = models.device_of(device)
    dtype = models.dtype_of(params.dtype, place)
    model, processor = models.load_blip(
        params.model, revision=params.revision, device=place, dtype=dtype, field="caption.model"
    )
    told = params.model_dump(include={"prompt", "max_tokens", "num_beams", "top_p", "candidates", "seed"})
    writer = Writer(model, processor, **told)
    most = params.batch_size or (ON_GPU if place.startswith("cuda") else ON_CPU)
    return _batches(weights(params), place, dtype, most).each(rows, writer.look, writer.write, say=say)


@functools.lru_cache(maxsize=1)
def _batches(_hash: str, _device: str, _dtype: str, most: int) -> "Batches":
    """Kept from shard to shard, so that memory runs out once for a model."""
    from pipeline.batches import Batches

    return Batches(most)
