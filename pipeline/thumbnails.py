"""Stage: a small WebP of a picture, for pages; of each size it is made once, however many pages show it."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, Field

from pipeline import imaging
from pipeline.errors import PictureError
from pipeline.manifest import Row
from pipeline.stage import Tools

VERSION = 1
KEY = ("sample_id",)
READS = ()
ADDS = pa.schema([pa.field("thumbnails__webp", pa.binary(), metadata={b"description": b"the picture, as WebP"})])


class Params(BaseModel, frozen=True, extra="forbid"):
    """What decides a thumbnail beside the picture."""

    side: int = Field(128, ge=16, le=2048, description="longest side at most, in pixels")
    quality: int = Field(60, ge=0, le=100, description="of WebP")


def run(rows: Sequence[Row], params: Params, tools: Tools) -> Sequence[Mapping[str, Any]]:
    """Make thumbnails, in as many threads as there are workers; one that cannot be decoded has an error."""
    made: list[Mapping[str, Any]] = []
    with ThreadPoolExecutor(tools.workers) as pool:
        for one in pool.map(lambda row: _small(tools.read(row["sample_id"]), params), rows):
            made.append(one)
            tools.advance(len(made))
    return made


def _small(data: bytes, params: Params) -> Mapping[str, Any]:
    try:
        picture = imaging.decode(data)
    except PictureError as error:
        return {"error": str(error)}
    # a proxy is small already, and large enough to be halved
    pixels = picture.proxy if 2 * params.side <= imaging.PROXY_SIDE else picture.pixels
    return {"thumbnails__webp": imaging.thumbnail(pixels, params.side, quality=params.quality)}
