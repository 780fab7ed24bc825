"""How much there is to see: blank pages, plain screens and placeholders carry next to nothing.

Entropy is Shannon's, of the histogram of luma (Rec. 601) on the proxy. It knows nothing of place: noise has much of it.
Colours are counted on every second row and column.
"""

import cv2
import numpy as np
import pyarrow as pa
from pydantic import BaseModel

from pipeline.imaging import Canonical

VERSION = 2
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
LIMITS = {"information__entropy": {"min": 1.0}}


_FOUR_BITS = 0b0_11110_11110_11110
"""The upper four bits of each channel of a colour packed into five bits a channel."""


class Params(BaseModel, frozen=True, extra="forbid"):
    """None."""


def measure(picture: Canonical, params: Params) -> dict[str, float | int]:  # noqa: ARG001 - every scorer's signature
    """Entropy of luma in bits, and the number of coarse colours."""
    shares = picture.histogram.astype(np.float64)
    shares /= shares.sum()
    shares = shares[shares > 0]
    packed = cv2.cvtColor(picture.proxy[::2], cv2.COLOR_RGB2BGR555).view(np.uint16)[:, ::2] & _FOUR_BITS
    colours = np.bincount(packed.ravel(), minlength=1)
    return {
        "information__entropy": float(max(0.0, -(shares * np.log2(shares)).sum())),
        "information__colors": int(np.count_nonzero(colours)),
    }
