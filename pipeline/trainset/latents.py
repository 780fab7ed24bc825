"""Stage: the VAE's posterior moments of every view, raw (mean and log-variance, neither sampled, scaled nor shifted)."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from pydantic import BaseModel, Field

from pipeline import imaging, models
from pipeline.errors import PictureError
from pipeline.manifest import Row
from pipeline.settings import Buckets
from pipeline.stage import Tools
from pipeline.trainset import views

VERSION = 1
KEY = ("sample_id", "view")
READS = ("pixel_id", "transforms")
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
        pa.field("latents__top", pa.int32(), metadata={b"description": b"of the cut, in resized pixels"}),
        pa.field("latents__left", pa.int32(), metadata={b"description": b"of the cut, in resized pixels"}),
    ]
)


class Params(BaseModel, frozen=True, extra="forbid"):
    """What decides the moments beside the weights."""

    buckets: Buckets = Field(Buckets(), description="sizes that pictures are brought to")
    pixels_version: int = Field(imaging.PIXELS_VERSION, description="version of the canonical pixels")
    base: str = Field("starter", exclude=True, description="the model whose VAE encodes; known by its weights' hash")
    revision: str | None = Field(None, exclude=True, description="commit of the hub model")


def run(rows: Sequence[Row], params: Params, tools: Tools) -> Sequence[Mapping[str, Any]]:
    """Encode the rows' views; a row's `transforms` is the JSON of what its caption allows."""

    def look(row: Row) -> views.View | str:
        try:
            picture = imaging.decode(tools.read(row["sample_id"]))
        except PictureError as error:
            return str(error)
        return views.make(picture.pixels, row["pixel_id"], row["view"], json.loads(row["transforms"]), params.buckets)

    vae = models.load_vae(params.base, revision=params.revision, device=tools.device)
    with ThreadPoolExecutor(tools.workers) as pool:
        seen = list(pool.map(look, rows))
    by_size: dict[tuple[int, ...], list[int]] = defaultdict(list)
    made: list[Mapping[str, Any]] = [{"error": one} if isinstance(one, str) else {} for one in seen]
    for place, view in enumerate(seen):
        if not isinstance(view, str):
            by_size[view.pixels.shape].append(place)
    for shape, places in sorted(by_size.items()):
        batch = max(1, BATCH_PIXELS // (shape[0] * shape[1]))
        for start in range(0, len(places), batch):
            part = places[start : start + batch]
            moments = encode(vae, np.stack([seen[place].pixels for place in part]))  # type: ignore[union-attr]
            for place, one in zip(part, moments, strict=True):
                made[place] = _row(seen[place], one)  # type: ignore[arg-type]
    return made


@torch.no_grad()
def encode(vae: Any, pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:  # noqa: ANN401 (diffusers has no types)
    """N x H x W x 3 bytes to N x 2C x h x w float32 moments, in the VAE's own precision."""
    tensor = torch.from_numpy(pixels).to(vae.device).permute(0, 3, 1, 2).to(vae.dtype) / 127.5 - 1.0
    return np.asarray(vae.encode(tensor).latent_dist.parameters.float().cpu().numpy())


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
