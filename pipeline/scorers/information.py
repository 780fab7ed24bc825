"""How much there is to see: blank pages, plain screens and placeholders carry next to nothing.

Entropy is Shannon's, of the histogram of luma (Rec. 601) on the proxy. It knows nothing of place: noise has much of it.
Colours are counted on every second row and column.
"""

import cv2
import numpy as np
import pyarrow as pa
from pydantic import BaseModel

from pipeline.imaging import Canonical

VERSION = 1
ADDS = pa.schema(
    [
        pa.field(
            "information__entropy",
            pa.float32(),
            metadata={b"description": b"entropy of luma, bits, 0 (one shade) to 8; photographs have 6 to 8"},
        ),
        pa.field(
            "information__colors",
            pa.int32(),
            metadata={b"description": b"different colours at 4 bits a channel, 1 to 4096; photos have hundreds"},
        ),
    ]
)


class Params(BaseModel, frozen=True, extra="forbid"):
    """None."""


def measure(picture: Canonical, params: Params) -> dict[str, float | int]:  # noqa: ARG001 - every scorer's signature
    """Entropy of luma in bits, and the number of coarse colours."""
    shares = cv2.calcHist([picture.luma], [0], None, [256], [0, 256]).ravel().astype(np.float64) / picture.luma.size
    shares = shares[shares > 0]
    some = np.ascontiguousarray(picture.proxy[::2, ::2])
    colours = cv2.calcHist([some], [0, 1, 2], None, [16] * 3, [0, 256] * 3)
    return {
        "information__entropy": float(max(0.0, -(shares * np.log2(shares)).sum())),
        "information__colors": int(np.count_nonzero(colours)),
    }
