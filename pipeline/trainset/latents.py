"""Stage: the VAE's posterior moments of every view, raw: mean and log-variance, not sampled, scaled or shifted.

They are kept by the pixels' id, which names the version of the canonical pixels too: a file whose metadata alone
changed costs nothing here.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, Field

from pipeline import imaging
from pipeline.errors import PictureError
from pipeline.manifest import Row
from pipeline.model_files import latent_scale, locate
from pipeline.settings import Buckets
from pipeline.stage import Tools
from pipeline.trainset import views

VERSION = 3
KEY = ("pixel_id", "view")
READS = ("transforms",)
Shape = tuple[int, ...]
BATCH_PIXELS = 4 * 512 * 512
"""Pixels that the VAE encodes at once; 4 pictures of 512 px."""
ADDS = pa.schema(
    [
        pa.field("latents__moments", pa.binary(), metadata={b"description": b"2C x h x w float32, C order"}),
        pa.field("latents__channels", pa.int32(), metadata={b"description": b"2C"}),
        pa.field("latents__height", pa.int32(), metadata={b"description": b"h, in latent pixels"}),
        pa.field("latents__width", pa.int32(), metadata={b"description": b"w, in latent pixels"}),
        pa.field("latents__original_height", pa.int32(), metadata={b"description": b"of the canonical pixels"}),
        pa.field("latents__original_width", pa.int32(), metadata={b"description": b"of the canonical pixels"}),
        pa.field("latents__top", pa.int32(), metadata={b"description": b"of the cut, in pixels of the uncut view"}),
        pa.field("latents__left", pa.int32(), metadata={b"description": b"of the cut, in pixels of the uncut view"}),
    ]
)


class Params(BaseModel, frozen=True, extra="forbid"):
    """What decides the moments beside the weights."""

    buckets: Buckets = Field(Buckets(), description="sizes that pictures are brought to")
    base: str = Field("starter", exclude=True, description="the model whose VAE encodes; known by its weights' hash")
    revision: str | None = Field(None, exclude=True, description="commit of the hub model")


def header(params: Params) -> dict[str, str]:
    """What a reader of the moments needs beside them: (sample of the moments - shift) * scale is what a UNet sees.

    Raises:
        ModelError: the model is not there and cannot be had.
    """
    scale, shift = latent_scale(locate(params.base, params.revision, untrained="unet"))
    return {
        "scale": str(scale),
        "shift": str(shift),
        "dtype": "float32",
        **{name: metadata.version(name) for name in ("torch", "diffusers")},
    }


def run(rows: Sequence[Row], params: Params, tools: Tools) -> Sequence[Mapping[str, Any]]:
    """Encode the rows' views; a row's `transforms` is the JSON of what its caption allows."""
    from pipeline.trainset import encoders  # imports torch

    by_sample: dict[str, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        by_sample[row["sample_id"]].append(place)

    def look(sample_id: str) -> list[tuple[int, views.View | str]]:
        places = by_sample[sample_id]
        try:
            pixels = imaging.decode(tools.read(sample_id)).pixels
        except PictureError as error:
            return [(place, str(error)) for place in places]
        asked = [(place, rows[place]) for place in places]
        return [
            (place, views.make(pixels, row["pixel_id"], row["view"], json.loads(row["transforms"]), params.buckets))
            for place, row in asked
        ]

    encode = encoders.pixels(params.base, revision=params.revision, device=tools.device)
    made: list[Mapping[str, Any]] = [{}] * len(rows)
    waiting: dict[Shape, dict[int, views.View]] = defaultdict(dict)

    def empty(shape: Shape) -> None:
        batch = waiting.pop(shape)
        moments = encode(np.stack([view.pixels for view in batch.values()]))
        for (place, view), one in zip(batch.items(), moments, strict=True):
            made[place] = _row(view, one)
        tools.advance(sum(bool(one) for one in made))

    # the threads decode what comes while the model encodes what came; in the rows' order, so that batches are the same
    with ThreadPoolExecutor(tools.workers) as pool:
        for place, view in chain.from_iterable(pool.map(look, by_sample)):
            if isinstance(view, str):
                made[place] = {"error": view}
                continue
            shape = view.pixels.shape
            waiting[shape][place] = view
            if (len(waiting[shape]) + 1) * shape[0] * shape[1] > BATCH_PIXELS:
                empty(shape)
    for shape in sorted(waiting):
        empty(shape)
    return made


def _row(view: views.View, moments: np.ndarray[Any, Any]) -> Mapping[str, Any]:
    return {
        "latents__moments": np.ascontiguousarray(moments).tobytes(),
        "latents__channels": moments.shape[0],
        "latents__height": moments.shape[1],
        "latents__width": moments.shape[2],
        "latents__original_height": view.source_height,
        "latents__original_width": view.source_width,
        "latents__top": view.placement.top,
        "latents__left": view.placement.left,
    }
