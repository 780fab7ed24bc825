"""Stage: the perceptual hash of each view as training sees it, cut to its bucket and augmented."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, Field

from pipeline import imaging
from pipeline.dedup import perceptual
from pipeline.errors import PictureError
from pipeline.manifest import Row
from pipeline.settings import Buckets
from pipeline.stage import Tools
from pipeline.trainset import views

VERSION = 1
KEY = ("pixel_id", "view")
READS = ("transforms",)
ADDS = pa.schema(
    [
        pa.field("looks__hash", pa.uint64(), metadata={b"description": b"the view's perceptual hash, 64 bits"}),
        pa.field("looks__colors", pa.uint64(), metadata={b"description": b"its mean colours, as perceptual__colors"}),
        pa.field("looks__flat", pa.bool_(), metadata={b"description": b"true where the hash means nothing"}),
    ]
)


class Params(BaseModel, frozen=True, extra="forbid"):
    """How views are cut."""

    buckets: Buckets = Field(description="the recipe's buckets")


def run(rows: Sequence[Row], params: Params, tools: Tools) -> Sequence[Mapping[str, Any]]:
    """Make every view and hash it; a picture is decoded once for all its views."""
    found: dict[tuple[str, int], Mapping[str, Any]] = {}
    pictures: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        pictures[row["sample_id"]].append(row)
    with ThreadPoolExecutor(tools.workers) as pool:
        for some in pool.map(lambda views_: list(_seen(views_, params, tools)), pictures.values()):
            found.update(some)
    return [found[row["pixel_id"], row["view"]] for row in rows]


def of(pixels: imaging.Pixels, pixel_id: str, view: int, transforms: views.Transforms, sizes: Buckets) -> Row:
    """The columns of ADDS for one view of canonical pixels."""
    made = views.make(pixels, pixel_id, view, transforms, sizes).pixels
    seen = perceptual.measure_pixels(made, perceptual.Params())
    return {name.replace("perceptual__", "looks__"): value for name, value in seen.items()}


def _seen(rows: Sequence[Row], params: Params, tools: Tools) -> Iterator[tuple[tuple[str, int], Row]]:
    try:
        pixels = imaging.decode(tools.read(rows[0]["sample_id"])).pixels
    except PictureError as error:
        yield from (((row["pixel_id"], row["view"]), {"error": str(error)}) for row in rows)
        return
    for row in rows:
        told = of(pixels, row["pixel_id"], row["view"], json.loads(row["transforms"]), params.buckets)
        yield (row["pixel_id"], row["view"]), told
