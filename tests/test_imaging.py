import io
import struct
import subprocess
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageFile

from pipeline import imaging
from pipeline.errors import GessoError, PictureError
from pipeline.imaging import Limits, decode, encode_png, shrink, thumbnail
from pipeline.starter.pictures import picture

SCENE = picture(3, side=96).pixels[:80]  # not square, so that a turn shows
EXTENSIONS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "BMP": "bmp", "GIF": "gif", "TIFF": "tif"}
UNDO = {  # what a camera stored, given the upright picture and its orientation tag
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: a.transpose(1, 0, 2)[::-1],
    7: lambda a: a.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda a: a.transpose(1, 0, 2)[:, ::-1],
}


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


def reason(data, **options):
    with pytest.raises(PictureError) as caught:
        decode(data, **options)
    return caught.value.reason


@pytest.mark.parametrize("kind", EXTENSIONS)
def test_each_allowed_format_is_known_by_its_content(kind):
    canonical = decode(
        saved(SCENE, kind, **({"lossless": True} if kind == "WEBP" else {})), name=f"a.{EXTENSIONS[kind]}"
    )
    assert (canonical.format, canonical.width, canonical.height) == (kind, 96, 80)
    assert canonical.notes == ()
    if kind in ("PNG", "WEBP", "BMP", "TIFF"):
        assert np.array_equal(canonical.pixels, SCENE)
        assert canonical.pixel_id == decode(saved(SCENE)).pixel_id


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", UNDO)
def test_every_orientation_gives_the_same_upright_pixels(orientation, kind):
    exif = Image.Exif()
    exif[274] = orientation
    lossless = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}.get(kind, {})
    canonical = decode(saved(UNDO[orientation](SCENE), kind, exif=exif, **lossless))
    assert canonical.pixels.shape == SCENE.shape
    # JPEG rounds differently when its blocks lie the other way round
    assert np.abs(canonical.pixels.astype(int) - SCENE).mean() <= (1.5 if kind == "JPEG" else 0)
    assert canonical.notes == ((f"orientation {orientation} applied",) if orientation > 1 else ())


def test_the_pixel_id_ignores_metadata_and_sees_shape_and_pixels():
    plain = decode(saved(SCENE))
    changed = SCENE.copy()
    changed[5, 5, 0] ^= 1
    assert decode(saved(SCENE, dpi=(300, 300), compress_level=1)).pixel_id == plain.pixel_id
    assert decode(saved(changed)).pixel_id != plain.pixel_id
    black = [decode(saved(np.zeros((h, w, 3), np.uint8))).pixel_id for h, w in ((100, 200), (200, 100))]
    assert black[0] != black[1]


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


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_an_animation_gives_its_first_frame(kind):
    frames = [Image.new("RGB", (20, 10), colour) for colour in ("red", "green", "blue")]
    canonical = decode(saved(frames[0], kind, save_all=True, append_images=frames[1:]))
    assert np.abs(canonical.pixels.astype(int) - (255, 0, 0)).max() <= 3
    assert canonical.notes == ("first of several frames",)


@pytest.mark.parametrize("kind", EXTENSIONS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_file_that_is_cut_is_refused(kind, share):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = saved(noise, kind)
    assert reason(data[: int(len(data) * share)]) in ("truncated", "corrupt")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF"])
def test_a_half_file_is_called_truncated(kind):
    data = saved(SCENE, kind)
    assert reason(data[: len(data) // 2]) == "truncated"


def test_no_bytes_at_all():
    assert reason(b"") == "empty"


@pytest.mark.parametrize(
    "data",
    [b"<!doctype html><html><body>404</body></html>", b"BM is the start of a word, not of a bitmap", b"x", b"%PDF-1.7"],
)
def test_no_picture_whatever_the_name_says(data):
    assert reason(data, name="cat.jpg") == "not_a_picture"


@pytest.mark.parametrize(
    "data",
    [
        b"\0\0\0\x1cftypavif",
        b"8BPS\0\1",
        b"<svg xmlns=''/>",
        b"P6 1 1 255 abc",
        saved(SCENE, "ICO"),
        saved(SCENE, "AVIF"),
    ],
)
def test_a_picture_of_another_format_is_not_allowed(data):
    assert reason(data, name="cat.png") == "format_not_allowed"


def test_floats_have_no_defined_white():
    assert reason(saved(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF")) == "format_not_allowed"


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("a.png", ("extension says png, content is JPEG",)),
        ("a.txt", ("extension says txt, content is JPEG",)),
        ("a.JPEG", ()),
        ("folder.png/a", ()),
        ("", ()),
    ],
)
def test_a_lying_extension_is_noted(name, note):
    assert decode(saved(SCENE, "JPEG"), name=name).notes == note


def test_bombs_are_refused_by_their_header():
    assert reason(png(40_000, 40_000, 8, 2, b"")) == "too_many_pixels"
    assert reason(png(13_000, 13_000, 1, 0, bytes(1626) * 13_000)) == "too_many_pixels"  # 169 Mpx in some 20 KB
    assert reason(saved(SCENE), limits=Limits(max_pixels=96 * 80 - 1)) == "too_many_pixels"
    assert decode(saved(SCENE), limits=Limits(max_pixels=96 * 80)).width == 96


def test_pillows_warning_of_a_bomb_does_not_escape(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 96 * 80 - 1)
    grown = bytearray(saved(SCENE, "GIF"))
    grown[6:10] = struct.pack("<HH", 1, 1)  # the screen is smaller than the frame, and grows
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        canonical = decode(bytes(grown))
    assert (canonical.width, canonical.height) == (96, 80)


def test_too_many_bytes():
    data = saved(SCENE)
    assert reason(data, limits=Limits(max_bytes=len(data) - 1)) == "too_many_bytes"
    assert decode(data, limits=Limits(max_bytes=len(data))).width == 96


def test_a_text_bomb_is_refused():
    bomb = chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(100 * 2**20), 9))
    assert reason(png(1, 1, 8, 0, b"\0\0", bomb)) == "corrupt"


@pytest.mark.parametrize("size", [(1, 1), (1, 20_000), (20_000, 1)])
def test_extreme_shapes(size):
    canonical = decode(saved(Image.new("RGB", size, "red")))
    assert (canonical.width, canonical.height) == size
    assert max(canonical.proxy.shape[:2]) == min(512, max(size))
    assert (canonical.proxy == (255, 0, 0)).all()


def test_the_proxy_is_an_area_average_and_never_enlarged():
    assert np.array_equal(decode(saved(SCENE)).proxy, SCENE)
    large = np.random.default_rng(1).integers(0, 256, (1024, 768, 3), dtype=np.uint8)
    proxy = decode(saved(large)).proxy
    averages = large.reshape(512, 2, 384, 2, 3).mean((1, 3))
    assert proxy.shape == (512, 384, 3)
    assert np.abs(proxy - averages).max() <= 1


def test_the_arrays_cannot_be_changed():
    canonical = decode(saved(SCENE))
    for array in (canonical.pixels, canonical.proxy):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 0


def test_many_threads_agree():
    files = [saved(SCENE, kind) for kind in EXTENSIONS] * 8
    with ThreadPoolExecutor(4) as pool:
        ids = [canonical.pixel_id for canonical in pool.map(decode, files)]
    assert ids == [decode(data).pixel_id for data in files]


def test_another_process_gives_the_same_pixel_id():
    code = "import sys; from pipeline.imaging import decode; print(decode(sys.stdin.buffer.read()).pixel_id)"
    data = saved(SCENE, "JPEG", icc_profile=profile_with_swapped_red_and_blue())
    there = subprocess.run(
        [sys.executable, "-c", code], input=data, capture_output=True, check=True, cwd=Path(__file__).parents[1]
    )
    assert there.stdout.decode().strip() == decode(data).pixel_id


def test_a_process_that_lets_truncated_pictures_pass_is_told(monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(GessoError, match="LOAD_TRUNCATED_IMAGES"):
        decode(saved(SCENE))


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0", b"BM"]), st.binary(max_size=300)
)
def test_random_bytes_raise_picture_errors_only(start, rest):
    with pytest.raises(PictureError):
        decode(start + rest)


SWAPPED = {"icc_profile": profile_with_swapped_red_and_blue()}
VALID = [
    *(saved(SCENE, kind, **(SWAPPED if kind in ("JPEG", "PNG", "TIFF") else {})) for kind in EXTENSIONS),
    saved(transparent("RGB")),
    saved(Image.fromarray(SCENE).quantize(16), "GIF", transparency=3),
]
REASONS = ("not_a_picture", "format_not_allowed", "too_many_pixels", "truncated", "corrupt")


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(VALID),
    st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=12),
    st.integers(1, 400),
)
def test_mutated_files_give_pixels_or_picture_errors(data, changes, reach):
    mutated = bytearray(data)
    for place, value in changes:
        mutated[int(place * min(reach, len(data)))] = value
    found, canonical = "", None
    try:
        canonical = decode(bytes(mutated), limits=Limits(max_pixels=2**20))
    except PictureError as error:
        found = error.reason
    if canonical is None:
        assert found in REASONS
    else:
        assert canonical.pixels.shape == (canonical.height, canonical.width, 3)


def test_png_and_thumbnail():
    canonical = decode(encode_png(SCENE))
    assert np.array_equal(canonical.pixels, SCENE)
    small = decode(thumbnail(SCENE, 48))
    assert (small.format, small.width, small.height) == ("WEBP", 48, 40)
    assert np.abs(small.pixels.astype(int) - shrink(SCENE, 48)).mean() < 12


def test_real_photographs_decode_as_opencv_does():
    cv2 = pytest.importorskip("cv2")
    photos = sorted((Path(__file__).parents[2] / "shared" / "photos").glob("*/00.jpg"))[:3]
    if not photos:
        pytest.skip("the photographs are not here")
    for photo in photos:
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        other = cv2.imdecode(np.frombuffer(photo.read_bytes(), np.uint8), flags)[..., ::-1]
        assert np.abs(decode(photo.read_bytes()).pixels.astype(int) - other).max() <= 1


def test_the_version_is_part_of_the_id(monkeypatch):
    before = decode(saved(SCENE)).pixel_id
    monkeypatch.setattr(imaging, "PIXELS_VERSION", imaging.PIXELS_VERSION + 1)
    assert decode(saved(SCENE)).pixel_id != before


def test_broken_metadata_is_neither_an_error_nor_a_line_on_the_terminal():
    data = saved(SCENE, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\1\3\0\1\0")
    code = "import sys; from pipeline.imaging import decode; decode(sys.stdin.buffer.read())"
    for strict in ([], ["-W", "error::UserWarning"]):
        there = subprocess.run(
            [sys.executable, *strict, "-c", code], input=data, capture_output=True, cwd=Path(__file__).parents[1]
        )
        assert (there.returncode, there.stdout + there.stderr) == (0, b"")
