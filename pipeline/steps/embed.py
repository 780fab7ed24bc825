"""Stage: what pictures look like to CLIP, as unit vectors; stored by content and weights, so each is looked at once."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, Field

from pipeline import imaging
from pipeline.errors import PictureError
from pipeline.manifest import Row
from pipeline.model_files import locate, weights_hash
from pipeline.stage import Tools

VERSION = 2
KEY: tuple[str, ...] = ("sample_id",)
READS: tuple[str, ...] = ()
ADDS = pa.schema(
    [pa.field("embed__vector", pa.list_(pa.float32()), metadata={b"description": b"CLIP's direction, length 1"})]
)


class Params(BaseModel, frozen=True, extra="forbid"):
    """Which CLIP looks. Its weights are known by their hash, so another name of the same model changes nothing."""

    clip: str = Field(
        "starter", exclude=True, description="starter, a folder, or a hub id of a CLIP, open_clip's or transformers'"
    )
    revision: str | None = Field(None, exclude=True, description="commit of the hub model")


def weights(params: Params, *, field: str = "--clip") -> str:
    """Hash of the CLIP's weights; `field` is where it was named.

    Raises:
        ModelError: it is not there and cannot be had.
    """
    return weights_hash(locate(params.clip, params.revision, part="open_clip", field=field))


def run(rows: Sequence[Row], params: Params, tools: Tools) -> Sequence[Mapping[str, Any]]:
    """The vectors of some pictures; CLIP sees their proxies, which are larger than what it looks at."""
    from pipeline.matching.clip import Clip  # torch takes seconds to import

    seen, errors = {}, {}
    for place, row in enumerate(rows):
        try:
            seen[place] = imaging.decode(tools.read(row["sample_id"])).proxy
        except (PictureError, OSError) as error:
            errors[place] = str(error)
    clip = Clip(params.clip, revision=params.revision, device=tools.device)
    vectors = clip.pictures(list(seen.values())).numpy().astype(np.float32) if seen else ()
    found = {place: {"embed__vector": vector} for place, vector in zip(seen, vectors, strict=True)}
    return [found[place] if place in found else {"error": errors[place]} for place in range(len(rows))]
