import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from pipeline.colours import sample_bits
from pipeline.errors import PictureError
from pipeline.imaging import decode
from pipeline.starter.pictures import picture

SCENE = picture(3, side=96).pixels[:80]


def saved(image, kind="PNG", **options):
    out = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(np.ascontiguousarray(image))).save(
        out, kind, **options
    )
    return out.getvalue()


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width, height, depth, colour, raw, *extra):
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [chunk(b"IHDR", header), *extra, chunk(b"IDAT", zlib.compress(raw)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    ("data", "bits"),
    [
        (saved(SCENE), 8),
        (saved(SCENE, "JPEG"), 8),
        (saved(np.zeros((4, 4), np.uint16)), 16),
        (saved(np.zeros((4, 4), np.uint16), "TIFF"), 16),
        (png(1, 1, 16, 2, bytes(7)), 16),
        (png(1, 1, 16, 6, bytes(9)), 16),
        (png(1, 1, 2, 0, bytes(2)), 2),
        (png(1, 1, 1, 0, bytes(2)), 1),
    ],
)
def test_bits_of_a_stored_sample(data, bits):
    with Image.open(io.BytesIO(data)) as opened:
        assert sample_bits(opened) == bits


def test_cmyk_is_read_with_and_without_adobes_inversion():
    red = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    with_marker = saved(red, "JPEG", quality=100)
    at = with_marker.index(b"\xff\xee")
    length = int.from_bytes(with_marker[at + 2 : at + 4], "big")
    without_marker = with_marker[:at] + with_marker[at + 2 + length :]
    assert np.abs(decode(with_marker).pixels.astype(int) - (255, 0, 0)).max() <= 2
    # the same samples read as plain ink: where Adobe's have none, these have all of it
    assert np.abs(decode(without_marker).pixels.astype(int) - (0, 0, 0)).max() <= 2
    assert np.abs(decode(saved(red, "TIFF")).pixels.astype(int) - (255, 0, 0)).max() == 0


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_not_clipped(kind):
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(4, 0)
    canonical = decode(saved(Image.fromarray(ramp), kind))
    assert np.array_equal(canonical.pixels[0, :, 0], np.arange(256))
    assert canonical.notes == ("16-bit scaled",)


def test_16_bit_big_endian_and_32_bit_grey_are_scaled():
    ramp = np.linspace(0, 65535, 256).astype(">u2")[None].repeat(4, 0)
    big = Image.frombytes("I;16B", (256, 4), ramp.tobytes())
    wide = Image.fromarray(ramp.astype(np.int32))
    for image in (big, wide):
        assert np.array_equal(decode(saved(image, "TIFF")).pixels[0, :, 0], np.arange(256))


def test_16_bit_rgb_is_scaled():
    ramp = np.linspace(0, 65535, 256).astype(">u2")
    rows = b"".join(b"\0" + np.stack([ramp, ramp[::-1], ramp], -1).tobytes() for _ in range(2))
    canonical = decode(png(256, 2, 16, 2, rows))
    assert np.abs(canonical.pixels[0, :, 0].astype(int) - np.arange(256)).max() <= 1
    assert np.abs(canonical.pixels[0, :, 1].astype(int) - np.arange(256)[::-1]).max() <= 1
    assert canonical.notes == ("16-bit scaled",)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_one_bit_is_black_and_white(kind):
    board = np.indices((16, 16)).sum(0) % 2 == 0
    canonical = decode(saved(Image.fromarray(board), kind))
    assert np.array_equal(canonical.pixels[..., 1], np.where(board, 255, 0))


def transparent(mode):
    """Left half opaque black, right half invisible black."""
    image = Image.new(mode, (16, 8), 0)
    alpha = Image.new("L", (16, 8), 0)
    alpha.paste(255, (0, 0, 8, 8))
    image.putalpha(alpha)
    return image


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_alpha_is_flattened_on_white(mode):
    canonical = decode(saved(transparent(mode)))
    assert (canonical.pixels[:, :8] == 0).all()
    assert (canonical.pixels[:, 8:] == 255).all()
    assert canonical.notes == ("alpha flattened on white",)


def test_half_transparent_is_half_white():
    canonical = decode(saved(Image.new("RGBA", (4, 4), (0, 0, 0, 128))))
    assert np.abs(canonical.pixels.astype(int) - 127).max() <= 1


def test_opaque_alpha_is_no_alpha():
    plain = decode(saved(SCENE))
    opaque = decode(saved(Image.fromarray(SCENE).convert("RGBA")))
    assert (opaque.pixel_id, opaque.notes) == (plain.pixel_id, ())


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_transparent_palette_colour_is_white(kind):
    image = Image.new("P", (16, 8), 0)
    image.putpalette([10, 20, 30, 200, 0, 0])
    image.paste(1, (8, 0, 16, 8))
    canonical = decode(saved(image, kind, transparency=1))
    assert (canonical.pixels[:, :8] == (10, 20, 30)).all()
    assert (canonical.pixels[:, 8:] == 255).all()


def test_a_palette_with_many_alphas():
    image = Image.new("P", (16, 8), 0)
    image.putpalette([0, 0, 0, 0, 0, 0])
    image.paste(1, (8, 0, 16, 8))
    canonical = decode(saved(image, transparency=bytes([255, 128])))
    assert canonical.pixels[0, 0, 0] == 0
    assert abs(int(canonical.pixels[0, 15, 0]) - 127) <= 1


@pytest.mark.parametrize(
    ("depth", "colour", "key", "raw"),
    [
        (8, 0, struct.pack(">H", 7), b"\x07\x00"),
        (8, 2, struct.pack(">HHH", 7, 8, 9), b"\x07\x08\x09\x00\x00\x00"),
        (16, 0, struct.pack(">H", 700), struct.pack(">HH", 700, 0)),
        (16, 2, struct.pack(">HHH", 7 << 8, 8 << 8, 9 << 8), struct.pack(">6H", 7 << 8, 8 << 8, 9 << 8, 0, 0, 0)),
        (4, 0, struct.pack(">H", 7), b"\x70"),
        (2, 0, struct.pack(">H", 2), b"\x80"),
        (1, 0, struct.pack(">H", 1), b"\x80"),
    ],
    ids=["grey", "rgb", "grey16", "rgb16", "grey4", "grey2", "bit"],
)
def test_a_transparent_colour_key_is_white(depth, colour, key, raw):
    canonical = decode(png(2, 1, depth, colour, b"\0" + raw, chunk(b"tRNS", key)))
    assert canonical.pixels[0].tolist() == [[255] * 3, [0] * 3]
    assert "alpha flattened on white" in canonical.notes


def profile_with_swapped_red_and_blue():
    """sRGB's own profile with the tags of its red and blue primaries renamed."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = data.index(b"rXYZ"), data.index(b"bXYZ")
    data[red : red + 4], data[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(data)


def test_an_icc_profile_is_converted():
    swapped = decode(saved(SCENE, icc_profile=profile_with_swapped_red_and_blue()))
    assert swapped.notes == ("icc profile converted",)
    assert np.abs(swapped.pixels[..., ::-1].astype(int) - SCENE).max() <= 3


def test_srgbs_own_profile_changes_nothing():
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    canonical = decode(saved(SCENE, "JPEG", icc_profile=srgb))
    assert canonical.pixel_id == decode(saved(SCENE, "JPEG")).pixel_id
    assert canonical.notes == ()


@pytest.mark.parametrize("profile", [b"not a profile", profile_with_swapped_red_and_blue()[:200]])
def test_a_broken_profile_is_a_note(profile):
    canonical = decode(saved(SCENE, icc_profile=profile))
    assert canonical.pixel_id == decode(saved(SCENE)).pixel_id
    assert canonical.notes == ("icc profile unreadable",)


def test_a_profile_of_another_colour_space_is_ignored():
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    canonical = decode(saved(SCENE, icc_profile=lab))
    assert canonical.pixel_id == decode(saved(SCENE)).pixel_id
    assert canonical.notes[0].startswith("icc profile for")


def test_an_rgb_profile_on_grey_is_applied():
    grey = Image.fromarray(SCENE).convert("L")
    canonical = decode(saved(grey, icc_profile=profile_with_swapped_red_and_blue()))
    assert np.abs(canonical.pixels.astype(int) - np.asarray(grey)[..., None]).max() <= 3


def test_floats_have_no_defined_white():
    with pytest.raises(PictureError, match="format_not_allowed"):
        decode(saved(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"))
