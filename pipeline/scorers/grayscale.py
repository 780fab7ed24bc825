"""Whether a picture has colours or shades of one faint colour alone: black and white, sepia, selenium.

The colour differences Cb and Cr (Rec. 601) of some thousand pixels of the proxy are fitted by a parabola over luma;
what is left is colour that lightness does not explain. A toned photograph leaves next to nothing, though its channels
differ. Compression and a sensor's noise leave about 1. A fit that spans more colour than toning does is none: an
orange heart on white has two colours, which lightness tells apart.
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
            "grayscale__color",
            pa.float32(),
            metadata={
                b"description": b"spread of colour that lightness does not explain, levels of 255, 0 (black and white, "
                b"or toned) to 182; below 2 there is next to none"
            },
        )
    ]
)
LIMITS = {"grayscale__color": {"min": 2.0}}

_TONE = 40
"""Levels of Cb and Cr together that a tone spans at most from black to white; sepia spans 35."""


class Params(BaseModel, frozen=True, extra="forbid"):
    """None."""


def measure(picture: Canonical, params: Params) -> dict[str, float]:  # noqa: ARG001 - every scorer's signature
    """Root mean square of what is left of Cb and Cr, or of all of them where the fit is no tone."""
    luma, *chroma = cv2.split(cv2.cvtColor(picture.dots, cv2.COLOR_RGB2YCrCb))
    light = luma.ravel() / np.float32(255)
    terms = np.stack([np.ones_like(light), light, light * light])
    colors = np.stack([one.ravel() for one in chroma]).astype(np.float32) - 128
    products, targets = (terms @ terms.T).astype(np.float64), (terms @ colors.T).astype(np.float64)
    explained = np.linalg.lstsq(products, targets, rcond=1e-6)[0]
    spans = np.ptp(explained.T @ terms, axis=1)
    if np.hypot(*spans) > _TONE:
        return {"grayscale__color": float(np.hypot(*colors.std(axis=1)))}
    left = float(np.square(colors, dtype=np.float64).sum() - (targets * explained).sum())
    return {"grayscale__color": float(np.sqrt(max(0.0, left) / len(light)))}
