"""Bytes to canonical pixels: the one place where a file becomes a picture.

Hashes, scores, captions, buckets and latents all see what `decode` returns and nothing else: EXIF orientation applied,
ICC profile converted to sRGB, alpha flattened on white, 16 bits scaled by their full range, the first frame of an
animation. A file that is not whole, not allowed or too large is refused with a reason; it never raises anything else.

    empty               no bytes
    not_a_picture       the content is no picture format we know (whatever the name says)
    format_not_allowed  a picture, but of a format or colour mode that has no canonical pixels
    too_many_bytes, too_many_pixels
    truncated           the file ends too early
    corrupt             the format's own decoder refuses it
"""

import io
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import cv2
import numpy as np
from blake3 import blake3
from numpy.typing import NDArray
from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from pipeline import unpack
from pipeline.colours import is_srgb, sample_bits, to_srgb
from pipeline.errors import GessoError, PictureError
from pipeline.halving import halved
from pipeline.planes import PROXY_SIDE as PROXY_SIDE
from pipeline.planes import Canonical as Canonical
from pipeline.planes import Pixels as Pixels

PIXELS_VERSION = 2
"""Part of every `pixel_id`. Raised when the canonical pixels of any file change."""

PROXY_VERSION = 4
"""Part of what is measured on the proxy. Raised when the proxy of any file changes."""


@dataclass(frozen=True)
class Limits:
    """What is refused before it is decoded: both are read off the bytes and the header alone."""

    max_bytes: int = 256 * 2**20
    """Largest file, in bytes. 256 MiB hold an uncompressed 16-bit picture of 44 megapixels."""

    max_pixels: int = 100_000_000
    """Largest width x height. 100 megapixels are 300 MB as RGB: every camera up to medium format, no bomb.

    Above 178 megapixels Pillow's own guard still refuses some GIF, TIFF and WebP."""


_OPENERS: dict[str, type[ImageFile.ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WEBP": WebPImageFile,
    "BMP": BmpImageFile,
    "GIF": GifImageFile,
    "TIFF": TiffImageFile,
}
_EXTENSIONS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG"),
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    **dict.fromkeys((".bmp", ".dib"), "BMP"),
    ".png": "PNG",
    ".webp": "WEBP",
    ".gif": "GIF",
}
_NOT_ALLOWED = {
    "HEIF or AVIF": rb"....ftyp(heic|heix|hevc|mif1|msf1|avif|avis)",
    "JPEG 2000": rb"\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51",
    "JPEG XL": rb"\xff\x0a|\x00\x00\x00\x0cJXL ",
    "PSD": rb"8BPS",
    "ICO": rb"\x00\x00[\x01\x02]\x00[^\x00]\x00",
    "Netpbm": rb"P[1-7]\s",
    "OpenEXR": rb"\x76\x2f\x31\x01",
    "SVG": rb"(<\?xml[^>]*>)?\s*<svg",
}
_ENDINGS = {"JPEG": b"\xff\xd9", "PNG": b"IEND", "GIF": b"\x3b"}
_ORIENTATION = 274
_UPRIGHT: dict[int, Callable[[Pixels], NDArray[Any]]] = {
    2: lambda stored: cv2.flip(stored, 1),
    3: lambda stored: cv2.rotate(stored, cv2.ROTATE_180),
    4: lambda stored: cv2.flip(stored, 0),
    5: cv2.transpose,
    6: lambda stored: cv2.rotate(stored, cv2.ROTATE_90_CLOCKWISE),
    7: lambda stored: cv2.transpose(cv2.rotate(stored, cv2.ROTATE_180)),
    8: lambda stored: cv2.rotate(stored, cv2.ROTATE_90_COUNTERCLOCKWISE),
}
"""What turns a picture as stored, by the orientation in its EXIF."""
_PILLOW = r"PIL\."


def decode(data: bytes, *, name: str = "", limits: Limits = Limits()) -> Canonical:
    """The canonical pixels of a file's bytes.

    `name` serves only to note an extension that lies. Safe to call from many threads.

    Raises:
        PictureError: the bytes are no whole picture of an allowed format and size; see the reasons above.
    """
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise GessoError("PIL.ImageFile.LOAD_TRUNCATED_IMAGES is set: truncated pictures would pass. Unset it.")
    if not data:
        raise PictureError("empty", "the file has no bytes")
    if len(data) > limits.max_bytes:
        raise PictureError("too_many_bytes", f"{len(data)} bytes, at most {limits.max_bytes} are allowed")
    content = _sniff(data)
    _hush_pillow()
    try:
        with _OPENERS[content](io.BytesIO(data)) as opened:
            _check_size(opened.size, limits)
            pixels, notes = _canonical(opened, data)
    except PictureError:
        raise
    except (Image.DecompressionBombError, MemoryError) as error:
        raise PictureError("too_many_pixels", str(error) or "not enough memory to decode it") from error
    except Exception as error:  # whatever a decoder raises on hostile bytes is a fact about the file
        detail = str(error) or type(error).__name__
        cut = "truncated" in detail.lower() or _lacks_ending(data, content)
        raise PictureError("truncated" if cut else "corrupt", detail) from error
    pixels.flags.writeable = False
    height, width = pixels.shape[:2]
    notes = [*_lying_extension(name, content), *notes]
    return Canonical(pixels, _proxy(pixels), _pixel_id(pixels), content, width, height, tuple(notes))


def version() -> str:
    """What decoding is called: other pixels or proxies of the same file have another one."""
    return f"pixels-{PIXELS_VERSION}, proxy-{PROXY_VERSION}"


def shrink(pixels: Pixels, side: int) -> Pixels:
    """The picture with its longest side at most `side` pixels, by area averaging; as it is if it is small enough."""
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return pixels
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def thumbnail(pixels: Pixels, side: int, *, quality: int = 60) -> bytes:
    """A small WebP for a page: longest side at most `side` pixels, lossy `quality` 0 to 100."""
    out = io.BytesIO()
    Image.fromarray(shrink(pixels, side)).save(out, "WEBP", quality=quality, method=4)
    return out.getvalue()


def encode_png(pixels: Pixels) -> bytes:
    """The picture as a lossless PNG; decoding it gives the same `pixel_id`."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def _sniff(data: bytes) -> str:
    """The allowed format whose signature the content bears."""
    head = data[:512]
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "TIFF"
    # "BM" alone would also be the start of a text; the size of the second header is one of seven
    if head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in (12, 40, 52, 56, 64, 108, 124):
        return "BMP"
    for other, signature in _NOT_ALLOWED.items():
        if re.match(signature, head, re.DOTALL):
            raise PictureError("format_not_allowed", f"{other}; allowed are {', '.join(_OPENERS)}")
    start = head[:12]
    told = f'"{start.decode().strip()}"' if start.isascii() and start.decode().strip().isprintable() else start.hex(" ")
    raise PictureError("not_a_picture", f"no picture format starts with {told}")


def _check_size(size: tuple[int, int], limits: Limits) -> None:
    width, height = size
    if width * height > limits.max_pixels:
        raise PictureError("too_many_pixels", f"{width} x {height}, at most {limits.max_pixels} pixels are allowed")


def _hush_pillow() -> None:
    """Keep Pillow's warnings, which are about metadata, from the user.

    A filter and not `catch_warnings`, which swaps the process's filters and so is not safe with threads. Renewed only
    where someone has put other filters in front, since a filter that raises would make good pictures corrupt.
    """
    first = warnings.filters[0] if warnings.filters else None
    module = first[3] if first else None
    if first is None or first[0] != "ignore" or getattr(module, "pattern", None) != _PILLOW:
        warnings.filterwarnings("ignore", module=_PILLOW)


def _canonical(opened: ImageFile.ImageFile, data: bytes) -> tuple[Pixels, list[str]]:
    """The upright sRGB pixels, and notes on what was done. Loads everything: `verify` passes files cut to 60 %."""
    notes: list[str] = []
    # Pillow turns a TIFF upright while it loads and forgets the tag
    turned = opened.tag_v2.get(_ORIENTATION, 1) if isinstance(opened, TiffImageFile) else 1
    bits = sample_bits(opened)
    if bits > 8:
        notes.append("16-bit scaled")
    pixels = unpack.jpeg(data) if _is_plain_jpeg(opened) else None
    if pixels is None:
        opened.load()
    orientation = _orientation(opened, notes)
    if pixels is None:
        pixels = unpack.array(to_srgb(opened, bits, notes))
    if orientation in _UPRIGHT:
        pixels = np.asarray(_UPRIGHT[orientation](pixels), np.uint8)
    notes.extend(f"orientation {value} applied" for value in {turned, orientation} & _UPRIGHT.keys())
    if _is_animated(opened):
        notes.append("first of several frames")
    return pixels, notes


def _is_plain_jpeg(opened: ImageFile.ImageFile) -> bool:
    """Whether nothing is to be done to what a JPEG's decoder gives."""
    return isinstance(opened, JpegImageFile) and opened.mode == "RGB" and is_srgb(opened.info.get("icc_profile"))


def _orientation(image: Image.Image, notes: list[str]) -> int:
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # broken metadata does not make a broken picture
        notes.append("exif unreadable")
        return 1
    return value if isinstance(value, int) else 1


def _is_animated(image: Image.Image) -> bool:
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # a broken second frame does not break the first
        return True


def _lacks_ending(data: bytes, content: str) -> bool:
    if content == "WEBP":
        return len(data) < int.from_bytes(data[4:8], "little") + 8
    if content == "BMP":
        return len(data) < int.from_bytes(data[2:6], "little")
    # programs pad files or append to them, so the ending may stand a little before the end
    return content in _ENDINGS and _ENDINGS[content] not in data[-64:]


def _lying_extension(name: str, content: str) -> list[str]:
    suffix = PurePath(name).suffix.lower()
    if not suffix or _EXTENSIONS.get(suffix) == content:
        return []
    return [f"extension says {suffix[1:]}, content is {content}"]


def _proxy(pixels: Pixels) -> Pixels:
    """Halves, then by interpolation to twice the proxy, then half of that: area averages in a third of their time."""
    height, width = pixels.shape[:2]
    scale = PROXY_SIDE / max(height, width)
    proxy = pixels
    if 0.5 < scale < 1:  # interpolation would enlarge it first, and so blur it
        proxy = shrink(pixels, PROXY_SIDE)
    elif scale < 1:
        wide, high = max(1, round(width * scale)), max(1, round(height * scale))
        while max(proxy.shape) >= 4 * PROXY_SIDE and min(proxy.shape[:2]) > 1:
            proxy = halved(proxy, least=1)
        proxy = np.asarray(cv2.resize(proxy, (2 * wide, 2 * high), interpolation=cv2.INTER_LINEAR), np.uint8)
        proxy = halved(proxy, least=1)
    proxy.flags.writeable = False
    return proxy


def _pixel_id(pixels: Pixels) -> str:
    digest = blake3(f"gesso pixels {PIXELS_VERSION} {pixels.shape}\n".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()
