"""A loaded image's pixels as an array."""

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from pipeline.arrow import leave_pandas_out

leave_pandas_out()


def array(image: Image.Image) -> NDArray[np.uint8]:
    """An RGB image's pixels, height x width x 3, in memory of their own.

    By way of Arrow where the image lies in one block of memory (16 MiB at most): Pillow keeps four bytes a pixel, and
    takes more than twice as long to pack them into three as OpenCV does.
    """
    try:
        padded = pa.array(image).flatten().to_numpy()
    except ValueError:
        return np.array(image)
    return np.asarray(cv2.cvtColor(padded.reshape(image.height, image.width, 4), cv2.COLOR_RGBA2RGB), np.uint8)
