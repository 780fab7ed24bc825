"""An image's pixels as an array: of one that Pillow has loaded, or straight from a JPEG's bytes."""

import cv2
import numpy as np
import pyarrow as pa
import simplejpeg
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


def jpeg(data: bytes) -> NDArray[np.uint8] | None:
    """The RGB pixels of a JPEG, height x width x 3, as stored; None where its decoder has anything to remark.

    The pixels that Pillow gives, by libjpeg-turbo as well, in five sixths of the time: nothing has to be packed. What
    is cut, broken or odd is left to Pillow, which tells one from the other.
    """
    try:
        return np.asarray(simplejpeg.decode_jpeg(data, "RGB", strict=True), np.uint8)
    except ValueError:
        return None
