"""Pictures for a page that stands alone: encoded small, embedded as data, and never beyond the page's budget."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from pipeline.reporting.record import Picture

THUMBNAIL = 112
"""Longest side of a thumbnail, pixels: 10,000 of them take about 26 MB as WebP of quality 60."""
QUALITY = 60
"""WebP quality of thumbnails, 0 to 100."""
TINY = 96
"""Pictures whose longest side is below this are kept without loss, and enlarged without blur."""
BUDGET = 12_000_000
"""Characters of picture data in one page; with the texts it stays below 15 MB."""

_KINDS = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg", b"GIF8": "gif"}


@dataclass(frozen=True, slots=True)
class Image:
    """A picture ready to be put into a page."""

    uri: str
    width: int
    height: int

    @property
    def tiny(self) -> bool:
        """Whether enlarging should show its pixels."""
        return max(self.width, self.height) < TINY


def thumbnail(pixels: NDArray[np.uint8], *, longest: int = THUMBNAIL, quality: int = QUALITY) -> bytes:
    """Encode pixels (height x width x 3, RGB) as WebP, scaled down to `longest` pixels where they are larger."""
    return _encode(Pillow.fromarray(pixels), longest=longest, quality=quality)


class Album:
    """Embeds pictures until the budget is spent; from then on it gives None, and counts what was left out."""

    def __init__(self, thumbnails: Mapping[str, bytes], *, budget: int = BUDGET) -> None:
        self._thumbnails, self._left = thumbnails, budget
        self.left_out = 0

    def thumbnail(self, sample_id: str) -> Image | None:
        """The thumbnail of a sample, or None where there is none."""
        encoded = self._thumbnails.get(sample_id)
        return None if encoded is None else self._take([_embed(encoded)])[0]

    def picture(self, picture: Picture, *, longest: int) -> Image | None:
        """A picture, scaled down to `longest` pixels where it is larger."""
        return self._take([_embed(_fit(picture, longest))])[0]

    def sheet(self, pictures: Sequence[Picture], *, share: float = 0.6, sizes: Iterable[int]) -> list[Image | None]:
        """Pictures of one size: the first of `sizes` (pixels, falling) at which they fit into `share` of the budget."""
        images: list[Image] = []
        for longest in sizes:
            images, spent = [], 0
            for picture in pictures:
                images.append(_embed(_fit(picture, longest)))
                spent += len(images[-1].uri)
                if spent > share * self._left:
                    break
            else:
                break
        rest = len(pictures) - len(images)
        self.left_out += rest
        return [*self._take(images), *[None] * rest]

    def _take(self, images: Sequence[Image]) -> list[Image | None]:
        taken: list[Image | None] = []
        for image in images:
            fits = len(image.uri) <= self._left
            self._left -= len(image.uri) if fits else 0
            self.left_out += not fits
            taken.append(image if fits else None)
        return taken


def _fit(picture: Picture, longest: int) -> bytes:
    if isinstance(picture, bytes):
        with Pillow.open(BytesIO(picture)) as opened:
            small = max(opened.size) <= longest
            return picture if small else _encode(opened.convert("RGB"), longest=longest, quality=80)
    return _encode(Pillow.fromarray(picture), longest=longest, quality=80)


def _encode(image: Pillow.Image, *, longest: int, quality: int) -> bytes:
    if max(image.size) > longest:
        image.thumbnail((longest, longest), Pillow.Resampling.LANCZOS)
    out = BytesIO()
    image.save(out, "WEBP", quality=quality, method=2, lossless=max(image.size) < TINY)
    return out.getvalue()


def _embed(encoded: bytes) -> Image:
    with Pillow.open(BytesIO(encoded)) as opened:
        width, height = opened.size
    return Image(f"data:image/{_kind(encoded)};base64,{base64.b64encode(encoded).decode()}", width, height)


def _kind(encoded: bytes) -> str:
    if encoded[:4] == b"RIFF" and encoded[8:12] == b"WEBP":
        return "webp"
    for start, kind in _KINDS.items():
        if encoded.startswith(start):
            return kind
    raise ValueError("a report embeds WebP, PNG, JPEG and GIF only")
