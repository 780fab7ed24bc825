"""Identity and form of the canonical pixels, measured in the same decode as all else."""

import pyarrow as pa
from pydantic import BaseModel

from pipeline.imaging import Canonical

VERSION = 1
ADDS = pa.schema(
    [
        pa.field("canonical__pixel_id", pa.string(), metadata={b"description": b"BLAKE3 of the pixels, 64 hex digits"}),
        pa.field(
            "canonical__format",
            pa.string(),
            metadata={b"description": b"format by content: JPEG, PNG, WEBP, BMP, GIF or TIFF"},
        ),
        pa.field("canonical__width", pa.int32(), metadata={b"description": b"width of the upright picture, px"}),
        pa.field("canonical__height", pa.int32(), metadata={b"description": b"height of the upright picture, px"}),
        pa.field(
            "canonical__notes",
            pa.string(),
            metadata={b"description": b"what was odd or had to be done on decoding, separated by '; '; mostly empty"},
        ),
    ]
)


class Params(BaseModel, frozen=True, extra="forbid"):
    """None: the canonical pixels are the same for everyone."""


def measure(picture: Canonical, params: Params) -> dict[str, str | int]:  # noqa: ARG001 - every scorer's signature
    """Identity, format, size and notes, as `pipeline.imaging.decode` found them."""
    return {
        "canonical__pixel_id": picture.pixel_id,
        "canonical__format": picture.format,
        "canonical__width": picture.width,
        "canonical__height": picture.height,
        "canonical__notes": "; ".join(picture.notes),
    }
