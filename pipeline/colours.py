"""Colours of a loaded picture to 8-bit sRGB on white: depth, alpha, ICC profile, CMYK."""

import io
import re
import struct
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms, ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from pipeline.errors import PictureError

_SIGNED_SAMPLES, _BITS, _SAMPLE_FORMAT = 2, 258, 339
_UNREADABLE = (ImageCms.PyCMSError, OSError, ValueError, TypeError, struct.error)
"""What a broken profile raises."""


def sample_bits(opened: ImageFile.ImageFile) -> int:
    """Bits of a sample, 1 to 16, of a picture that is not loaded yet: Pillow cuts or widens to 8 while it loads.

    Wider samples of TIFF count as 16.
    """
    if opened.mode.startswith("I"):
        return 16
    args = opened.tile[0].args if opened.tile else ()
    rawmode = str(args[0] if isinstance(args, tuple) and args else args)
    depth = re.search(r";(1|2|4|16)(?!\d)", rawmode)
    return int(depth[1]) if depth else 1 if rawmode == "1" else 8


def to_srgb(image: ImageFile.ImageFile, bits: int, notes: list[str]) -> Image.Image:
    """A loaded picture of any colour mode as 8-bit sRGB; appends to `notes` what was done.

    `bits` are those of a stored sample: see `sample_bits`.

    Raises:
        PictureError: format_not_allowed, where the colour mode has no defined black and white (floats, Lab).
    """
    profile = image.info.get("icc_profile")
    key = image.info.get("transparency")
    loaded = image.convert("L") if image.mode == "1" else image
    if loaded.mode in ("L", "RGB") and key is not None:
        loaded.info["transparency"] = _as_8_bits(key, bits)
    colour, alpha = _split_alpha(loaded)
    if colour.mode == "CMYK" and image.format == "JPEG" and "adobe" not in image.info:
        # Pillow takes every CMYK JPEG for Adobe's, which are stored inverted
        colour = Image.eval(colour, lambda value: 255 - value)
    if profile:
        colour = _by_profile(colour, profile, notes)
    # converting to the mode that it has would copy every pixel
    colour = colour if colour.mode == "RGB" else colour.convert("RGB")
    if alpha is None or alpha.getextrema() == (255, 255):
        return colour
    notes.append("alpha flattened on white")
    ground = Image.new("RGB", colour.size, "white")
    ground.paste(colour, mask=alpha)
    return ground


def is_srgb(profile: bytes | None) -> bool:
    """Whether RGB pixels with this ICC profile, or without one, are sRGB as they are; False where it is unreadable."""
    try:
        return profile is None or _srgb_transform(profile, "RGB") is None
    except _UNREADABLE:
        return False


def _as_8_bits(key: int | tuple[int, ...], bits: int) -> int | tuple[int, ...]:
    """PNG's transparent colour, given in stored samples, as Pillow's loaded samples; one bit it widens itself."""
    if isinstance(key, tuple):
        return tuple(value >> 8 for value in key) if bits == 16 else key
    return key if bits == 1 else key * 255 // int(2**bits - 1)


def _split_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Colour as L, RGB or CMYK of eight bits, and the alpha channel if there is one."""
    mode = image.mode
    if mode.startswith("I"):
        return _from_integers(image)
    if mode in ("La", "RGBa"):
        image = image.convert({"La": "LA", "RGBa": "RGBA"}[mode])
    elif mode in ("PA", "P", "RGB", "L") and image.has_transparency_data:
        image = image.convert("LA" if mode == "L" else "RGBA")
    if image.mode == "LA":
        return image.getchannel("L"), image.getchannel("A")
    if image.mode == "RGBA":
        return image.convert("RGB"), image.getchannel("A")
    if image.mode in ("L", "RGB", "CMYK"):
        return image, None
    if image.mode in ("P", "YCbCr"):
        return image.convert("RGB"), None
    raise PictureError("format_not_allowed", f"colour mode {mode} has no defined black and white")


def _from_integers(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Grey of 12, 16 or 32 bits scaled by its full range, which Pillow's own conversion would clip at 255."""
    values = np.asarray(image).astype(np.int64)
    tags = image.tag_v2 if isinstance(image, TiffImageFile) else {}
    bits = int(tags.get(_BITS, (16,))[0])
    if tags.get(_SAMPLE_FORMAT, (1,))[0] == _SIGNED_SAMPLES and values.min(initial=0) < 0:
        values += 2 ** (bits - 1)
    elif bits == 32:
        values &= 2**32 - 1
        # what programs store as 32 bits is nearly always a 16-bit scan in a wider type
        bits = 16 if values.max(initial=0) < 2**16 else 32
    full = 2**bits - 1
    alpha = None
    key = image.info.get("transparency")
    if isinstance(key, int):
        alpha = Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8))
    return Image.fromarray(((values * 255 + full // 2) // full).astype(np.uint8)), alpha


def _by_profile(colour: Image.Image, profile: bytes, notes: list[str]) -> Image.Image:
    """Colour converted by its profile; a broken or unfit profile leaves it as it is, with a note."""
    try:
        space = ImageCms.getOpenProfile(io.BytesIO(profile)).profile.xcolor_space.strip()
        if colour.mode == "L" and space == "RGB":
            colour = colour.convert("RGB")
        if {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}.get(space) != colour.mode:
            notes.append(f"icc profile for {space} ignored")
            return colour
        transform = _srgb_transform(profile, colour.mode)
        converted = None if transform is None else transform.apply(colour)
    except _UNREADABLE:
        notes.append("icc profile unreadable")
        return colour
    if converted is None:
        return colour
    notes.append("icc profile converted")
    return converted


@lru_cache(maxsize=32)
def _srgb_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The transform to sRGB; None where it would move no colour by more than 2 of 255, as with sRGB itself.

    Relative colorimetric with black point compensation, as image editors do by default.
    """
    transform = ImageCms.buildTransform(
        ImageCms.getOpenProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    if mode == "RGB":
        steps = np.linspace(0, 255, 18, dtype=np.uint8)
        lattice = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(18, -1, 3)
        moved = np.asarray(transform.apply(Image.fromarray(lattice))).astype(int) - lattice
        if np.abs(moved).max() <= 2:
            return None
    return transform
