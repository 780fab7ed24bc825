"""How large a picture is, and how oblong."""

import pyarrow as pa
from pydantic import BaseModel

from pipeline.imaging import Canonical

VERSION = 1
ADDS = pa.schema(
    [
        pa.field("resolution__short_side", pa.int32(), metadata={b"description": b"shorter side, px, from 1"}),
        pa.field("resolution__long_side", pa.int32(), metadata={b"description": b"longer side, px, from 1"}),
        pa.field("resolution__megapixels", pa.float32(), metadata={b"description": b"width x height, millions of px"}),
        pa.field(
            "resolution__aspect", pa.float32(), metadata={b"description": b"shorter over longer side, 0 to 1 (square)"}
        ),
    ]
)
LIMITS = {"resolution__short_side": {"min": 256}, "resolution__aspect": {"min": 0.34}}


class Params(BaseModel, frozen=True, extra="forbid"):
    """None: a size is a size."""


def measure(picture: Canonical, params: Params) -> dict[str, int | float]:  # noqa: ARG001 - every scorer's signature
    """Sides, area and aspect of the upright picture."""
    short, long = sorted((picture.width, picture.height))
    return {
        "resolution__short_side": short,
        "resolution__long_side": long,
        "resolution__megapixels": short * long / 1e6,
        "resolution__aspect": short / long,
    }
