"""Planted trouble: what is wrong with the files of real folders, made on purpose and written down.

Each maker turns a good picture (pixels: height x width x 3, RGB) and a seed into a file's bytes, always the same. What
ought to become of such a file stands in `KINDS`, so that a ledger can be held against it.
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np
from PIL import Image

from pipeline.starter.drawing import Pixels
from pipeline.starter.scene import COLORS, PLACES, Scene

GOOD = "good"
"""The kind of a file with nothing wrong."""
STAYS = ("kept", "held_out")
FLAGGED = "flagged"
"""What becomes of a caption that a check finds suspicious; the other words are states of the ledger."""


@dataclass(frozen=True)
class Made:
    """A file's bytes, its ending, and what exactly was done to it."""

    data: bytes
    suffix: str
    detail: str


@dataclass(frozen=True)
class Truth:
    """What is known of one file, because it was made so."""

    file: str
    kind: str
    """A name of `KINDS`, or `good`."""
    of: str | None
    """The file that it is a copy of."""
    states: tuple[str, ...]
    """What ought to become of it: states of the ledger, or `flagged`; one of them is right."""
    detail: str
    caption: str
    """What the picture shows, whatever its own caption says; empty where it is no picture."""


def resized(pixels: Pixels, seed: int) -> Made:
    """Smaller by a fifth to two fifths."""
    share = _rng(seed).uniform(0.6, 0.8)
    size = (round(pixels.shape[1] * share), round(pixels.shape[0] * share))
    return _png(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), f"{size[0]} x {size[1]} px")


def recompressed(pixels: Pixels, seed: int) -> Made:
    """A JPEG of quality 30 to 80."""
    quality = int(_rng(seed).integers(30, 81))
    return Made(encoded(pixels, "JPEG", quality=quality), ".jpg", f"JPEG of quality {quality}")


def cropped(pixels: Pixels, seed: int) -> Made:
    """Without 3 to 8 % of its width and height."""
    rng = _rng(seed)
    high, wide = pixels.shape[:2]
    share = rng.uniform(0.03, 0.08)
    top, left = (int(rng.uniform(0, side * share)) for side in (high, wide))
    cut = pixels[top : top + round(high * (1 - share)), left : left + round(wide * (1 - share))]
    return _png(cut, f"{share:.0%} cut off")


def flipped(pixels: Pixels, seed: int) -> Made:  # noqa: ARG001 (every maker's signature)
    """Seen in a mirror."""
    return _png(pixels[:, ::-1], "mirrored")


def watermarked(pixels: Pixels, seed: int) -> Made:
    """With a faint word across it."""
    marked = pixels.copy()
    value = 255 if pixels.mean() < 128 else 0
    _write(marked, "SAMPLE", at=_rng(seed).uniform(0.35, 0.75), color=(value, value, value))
    return _png(cv2.addWeighted(marked, 0.45, pixels, 0.55, 0), "a faint word across it")


def same_bytes(pixels: Pixels, seed: int) -> Made:  # noqa: ARG001
    """The file once more, as good pictures are written."""
    return Made(encoded(pixels), ".png", "the same file under another name")


def same_pixels(pixels: Pixels, seed: int) -> Made:  # noqa: ARG001
    """The same pixels in another format without loss."""
    return Made(encoded(pixels, "BMP"), ".bmp", "the same pixels as BMP")


def blurred(pixels: Pixels, seed: int) -> Made:
    """Out of focus by 3 to 5 % of its side."""
    sigma = _rng(seed).uniform(0.03, 0.05) * len(pixels)
    return _png(cv2.GaussianBlur(pixels, (0, 0), sigma), f"blurred, sigma {sigma:.1f} px")


def dark(pixels: Pixels, seed: int) -> Made:
    """With a tenth of its light at most."""
    share = _rng(seed).uniform(0.04, 0.1)
    return _png(pixels * share, f"{share:.0%} of its light")


def overexposed(pixels: Pixels, seed: int) -> Made:
    """Nearly white: with 4 % of its contrast at most."""
    share = _rng(seed).uniform(0.01, 0.04)
    return _png(255 - (255 - pixels.astype(np.float32)) * share, f"{share:.0%} of its contrast, the rest is white")


def noisy(pixels: Pixels, seed: int) -> Made:
    """Under Gaussian noise of 30 to 50 levels."""
    rng = _rng(seed)
    sigma = rng.uniform(30, 50)
    return _png(pixels + rng.normal(0, sigma, pixels.shape), f"noise, sigma {sigma:.0f} of 255")


def bordered(pixels: Pixels, seed: int) -> Made:
    """Between two black or white bars, or in a frame."""
    rng = _rng(seed)
    framed, width = bool(rng.integers(2)), int(rng.uniform(0.05, 0.12) * len(pixels))
    image = pixels.copy()
    value = (0, 255)[rng.integers(2)]
    image[:width] = image[-width:] = value
    if framed:
        image[:, :width] = image[:, -width:] = value
    return _png(image, f"{'a frame' if framed else 'bars'} of {width} px")


def lettered(pixels: Pixels, seed: int) -> Made:
    """With two lines of text over it."""
    rng = _rng(seed)
    image = pixels.copy()
    for word, at in (("BEST PRICE", rng.uniform(0.15, 0.3)), ("CALL NOW", rng.uniform(0.75, 0.9))):
        _write(image, word, at=at, color=(0, 0, 0), thick=3)
        _write(image, word, at=at, color=(255, 255, 0))
    return _png(image, "two lines of text over it")


def tiny(pixels: Pixels, seed: int) -> Made:
    """A thumbnail of 24 to 48 px."""
    side = int(_rng(seed).integers(24, 49))
    return _png(cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA), f"{side} x {side} px")


def cut_off(pixels: Pixels, seed: int) -> Made:
    """A file that ends after a third to nine tenths of its bytes."""
    whole, share = encoded(pixels), _rng(seed).uniform(0.33, 0.9)
    return Made(whole[: int(len(whole) * share)], ".png", f"ends after {share:.0%}")


def no_picture(pixels: Pixels, seed: int) -> Made:  # noqa: ARG001
    """A web page that was saved under a picture's name."""
    page = f"<!DOCTYPE html><html><body><h1>404</h1><p>Not found: {seed}</p></body></html>"
    return Made(page.encode(), ".jpg", "a web page")


def empty(pixels: Pixels, seed: int) -> Made:  # noqa: ARG001
    """A file without bytes."""
    return Made(b"", ".png", "no bytes")


def misnamed(pixels: Pixels, seed: int) -> Made:  # noqa: ARG001
    """A good JPEG whose name says PNG."""
    return Made(encoded(pixels, "JPEG", quality=90), ".png", "a JPEG that is called PNG")


def untouched(pixels: Pixels, seed: int) -> Made:  # noqa: ARG001
    """The picture as it is: the trouble lies beside it."""
    return Made(encoded(pixels), ".png", "")


@dataclass(frozen=True)
class Kind:
    """One kind of trouble: how it is made, what ought to become of it, and whether its original stands beside it."""

    make: Callable[[Pixels, int], Made]
    states: tuple[str, ...]
    copies: bool = False


KINDS: Mapping[str, Kind] = {
    "resized copy": Kind(resized, ("duplicate",), copies=True),
    "recompressed copy": Kind(recompressed, ("duplicate",), copies=True),
    "cropped copy": Kind(cropped, ("duplicate",), copies=True),
    "flipped copy": Kind(flipped, ("duplicate",), copies=True),
    "watermarked copy": Kind(watermarked, ("duplicate",), copies=True),
    "same bytes": Kind(same_bytes, ("duplicate",), copies=True),
    "same pixels": Kind(same_pixels, ("duplicate",), copies=True),
    "blurred": Kind(blurred, ("rejected",)),
    "dark": Kind(dark, ("rejected",)),
    "over-exposed": Kind(overexposed, ("rejected",)),
    "noisy": Kind(noisy, ("rejected",)),
    "bars or frame": Kind(bordered, ("rejected",)),
    "text over it": Kind(lettered, ("rejected",)),
    "tiny": Kind(tiny, ("rejected",)),
    "licence not allowed": Kind(untouched, ("rejected",)),
    "licence unknown": Kind(untouched, ("rejected",)),
    "cut off": Kind(cut_off, ("quarantined",)),
    "no picture": Kind(no_picture, ("quarantined",)),
    "empty file": Kind(empty, ("quarantined",)),
    "wrong extension": Kind(misnamed, STAYS),
    "wrong caption": Kind(untouched, (FLAGGED, "awaiting_review", "rejected")),
}
"""What can be planted. A wrong extension is harmless: the content counts, so the picture ought to stay."""


def mistaken(drawn: Scene, seed: int) -> Scene:
    """A scene that is not the one shown, for a wrong caption: another ground and, of one thing, another place."""
    rng = _rng(seed)
    grounds = [one for one in COLORS if one not in (drawn.background, *(thing.color for thing in drawn.things))]
    places = [one for one in PLACES if one != drawn.place]
    place = places[rng.integers(len(places))] if drawn.place else ""
    return replace(drawn, background=grounds[rng.integers(len(grounds))], place=place)


def encoded(pixels: Pixels, kind: str = "PNG", **how: int) -> bytes:
    """The bytes of a file of this format (PNG, JPEG or BMP)."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **how)
    return file.getvalue()


def _png(pixels: np.ndarray, detail: str) -> Made:
    return Made(encoded(np.ascontiguousarray(np.clip(pixels, 0, 255).astype(np.uint8))), ".png", detail)


def _write(image: Pixels, text: str, *, at: float, color: tuple[int, int, int], thick: int = 1) -> None:
    """Write over the picture's width, the line's foot `at` a share of its height."""
    high, wide = image.shape[:2]
    font = cv2.FONT_HERSHEY_SIMPLEX
    (length, _), _ = cv2.getTextSize(text, font, 1.0, 2)
    scale = 0.9 * wide / length
    place = (round(wide * 0.05), round(high * at))
    cv2.putText(image, text, place, font, scale, color, max(1, round(thick * wide / 90)), cv2.LINE_AA)


def _rng(seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, 19])
