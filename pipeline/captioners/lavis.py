"""Captions by LAVIS (Li et al. 2022) in a process and an environment of its own: its BLIP and BLIP-2, or your BLIP.

`gesso lavis install` builds the environment; see docs/lavis.md.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, Field, model_validator

from pipeline.errors import PictureError
from pipeline.lavis import client, environment
from pipeline.lavis.feed import feed
from pipeline.manifest import Row, digest
from pipeline.model_files import locate, weights_hash

VERSION = 1
DESCRIPTION = "A sentence by LAVIS's BLIP or BLIP-2, by its own model names; needs `gesso lavis install`."
LOOKS = True
SENTENCES = True
READS = ()
TYPES = {
    "blip_caption": ("base_coco", "large_coco"),
    "blip2_opt": ("caption_coco_opt2.7b", "caption_coco_opt6.7b", "pretrain_opt2.7b", "pretrain_opt6.7b"),
    "blip2_t5": ("caption_coco_flant5xl", "pretrain_flant5xl", "pretrain_flant5xl_vitL", "pretrain_flant5xxl"),
}
"""The captioners of LAVIS by its own names; each one's usual type first."""
WORKER = Path(environment.__file__).parent / "worker.py"

log = logging.getLogger(__name__)
_turn = threading.Lock()


class Params(BaseModel, frozen=True, extra="forbid"):
    """What decides the captions; `weights` tells which model it is. The lengths and beams are LAVIS's own."""

    model: str = Field(
        default="blip_caption",
        exclude=True,
        description="blip_caption, blip2_opt or blip2_t5; or starter, a folder or hub id of a BLIP captioner",
    )
    model_type: str | None = Field(
        default=None, exclude=True, description="LAVIS's type, such as large_coco; null: base_coco, or BLIP-2's on COCO"
    )
    revision: str | None = Field(default=None, exclude=True, description="commit of a hub model")
    prompt: str | None = Field(
        default=None, description="words to begin with, which LAVIS leaves out of the caption; null: the model's own"
    )
    num_beams: int = Field(default=3, ge=1, le=16, description="captions followed at a time, 1 (greedy) to 16")
    min_length: int = Field(
        default=10, ge=1, le=200, description="shortest caption in tokens, the prompt's among them; 1 to 200"
    )
    max_length: int = Field(default=30, ge=1, le=200, description="longest caption in tokens, likewise; 1 to 200")
    top_p: float | None = Field(
        default=None, gt=0, lt=1, description="draw words from this share of the likeliest, 0 to 1; null: the best beam"
    )
    seed: int = Field(default=0, ge=0, lt=2**63, description="decides what top_p draws")
    candidates: int = Field(
        default=1, ge=1, le=16, description="captions drawn for a picture, 1 to 16; more than one with top_p alone"
    )
    seconds: float = Field(
        default=60.0, gt=0, le=86400, description="time that a picture may take before its worker is killed, in seconds"
    )
    batch_size: int = Field(default=8, ge=1, le=256, exclude=True, description="pictures looked at together, 1 to 256")

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.model_type is not None and self.model_type not in TYPES.get(self.model, ()):
            known = "; ".join(f"{model}: {', '.join(types)}" for model, types in TYPES.items())
            raise ValueError(f"{self.model} of LAVIS has no type {self.model_type}. There are: {known}")
        if self.min_length > self.max_length:
            raise ValueError(f"no caption has at least {self.min_length} and at most {self.max_length} tokens")
        if self.top_p is None and self.candidates > 1:
            raise ValueError("LAVIS gives a picture's best beam alone: for several captions draw them, with top_p")
        return self


def weights(params: Params) -> str:
    """Hash of a folder's weights; of LAVIS's own models, which it fetches itself, that of version, name and type.

    Raises:
        ModelError: the model is not there and cannot be had, or LAVIS is not installed.
    """
    environment.python()
    if params.model in TYPES:
        return digest(["lavis", environment.version(), params.model, _type(params)])
    return weights_hash(locate(params.model, params.revision, part="blip", field="caption.model"))


def provenance(params: Params) -> str:
    """LAVIS's version, model and type, and the settings that are not the usual ones."""
    model = f"{params.model}/{_type(params)}" if params.model in TYPES else params.model
    model = model if params.revision is None else f"{model}@{params.revision}"
    usual = Params()
    told = params.model_dump(exclude={"seconds"})
    settings = [f"{name}={one}" for name, one in told.items() if one != getattr(usual, name)]
    return " ".join([f"lavis {environment.version()}", model, *settings])


def caption(rows: Sequence[Row], params: Params, *, device: str = "cpu") -> list[str | PictureError]:
    """A sentence about each picture, from its `pixels`, or why there is none."""
    found = propose(rows, params, device=device)
    return [texts if isinstance(texts, PictureError) else next(iter(texts), "") for texts in found]


def propose(
    rows: Sequence[Row], params: Params, *, device: str = "cpu", say: Callable[[str], None] = log.warning
) -> list[list[str] | PictureError]:
    """Up to `candidates` different sentences about each picture, or why there is none.

    `say` hears of every worker that crashes or hangs.

    Raises:
        ModelError: LAVIS is not installed, or cannot load the model.
        GessoError: the worker captions nothing at all.
    """
    command = [str(environment.python()), "-I", "-W", "ignore", str(WORKER)]
    how = params.model_dump(include={"prompt", "num_beams", "min_length", "max_length", "top_p", "seed", "candidates"})
    with _turn:
        found = feed(
            client.kept(command),
            {**_model(params), "device": device},
            [row["pixels"] for row in rows],
            how,
            batch_size=params.batch_size,
            seconds=params.seconds,
            say=say,
        )
    # each once, in the order in which they were drawn
    return [texts if isinstance(texts, PictureError) else list(dict.fromkeys(texts)) for texts in found]


def _model(params: Params) -> dict[str, Any]:
    if params.model in TYPES:
        return {"model": params.model, "model_type": _type(params)}
    return {"folder": str(locate(params.model, params.revision, part="blip", field="caption.model"))}


def _type(params: Params) -> str:
    return params.model_type or TYPES[params.model][0]
