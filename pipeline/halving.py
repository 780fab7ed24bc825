"""Half-size pictures: averages of 2 x 2, for which OpenCV has a fast path, before any costlier shrinking."""

import cv2
import numpy as np
from numpy.typing import NDArray


def halved(pixels: NDArray[np.uint8], *, least: int) -> NDArray[np.uint8]:
    """The picture (height x width, or with channels) at half its size; a last odd row or column is left out.

    As it is where its shorter side would fall below `least` pixels, 1 or more.
    """
    height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
    if min(height, width) < least:
        return pixels
    half = cv2.resize(pixels[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(half, np.uint8)
