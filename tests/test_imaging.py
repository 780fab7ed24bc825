import io
import re
import struct
import subprocess
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageFile

from pipeline import imaging, unpack
from pipeline.errors import GessoError, PictureError
from pipeline.imaging import Limits, decode, encode_png, shrink, thumbnail
from pipeline.starter.pictures import picture

SCENE = picture(3, side=96).pixels[:80]  # not square, so that a turn shows
EXTENSIONS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "BMP": "bmp", "GIF": "gif", "TIFF": "tif"}
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
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
    assert reason(saved(SCENE), limits=Limits(max_bytes=len(saved(SCENE)) - 1)) == "too_many_bytes"
    assert decode(saved(SCENE), limits=Limits(max_bytes=len(saved(SCENE)))).width == 96


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
    data = saved(SCENE, "JPEG", icc_profile=SRGB)
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


VALID = [
    *(saved(SCENE, kind, **({"icc_profile": SRGB} if kind in ("JPEG", "PNG", "TIFF") else {})) for kind in EXTENSIONS),
    saved(np.dstack([SCENE, SCENE[..., 0]])),
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


JPEGS = [
    saved(SCENE, "JPEG", quality=quality, subsampling=subsampling, progressive=progressive, restart_marker_rows=rows)
    for quality, subsampling, progressive, rows in (
        (90, 0, False, 0),
        (75, 1, True, 0),
        (40, 2, False, 1),
        (98, 2, True, 0),
    )
]
JPEGS += [
    saved(SCENE, "JPEG", icc_profile=SRGB),
    saved(SCENE, "JPEG", icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()),
    saved(SCENE, "JPEG", icc_profile=b"none"),
    saved(SCENE, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0"),
    saved(SCENE, "JPEG", keep_rgb=True),
    saved(SCENE[..., 0], "JPEG"),
    saved(Image.fromarray(SCENE).convert("CMYK"), "JPEG"),
]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(JPEGS),
    st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=4),
    st.floats(0.3, 1.3),
)
def test_a_jpeg_read_directly_is_what_pillow_makes_of_it(data, changes, length):
    damaged = bytearray(data)
    for place, value in changes:
        damaged[int(place * len(data))] = value
    damaged = bytes(damaged[: int(length * len(data))]) + (b"\0" * 8 if length > 1.2 else b"")

    def outcome():
        try:
            found = decode(damaged, limits=Limits(max_pixels=2**20))
        except PictureError as error:
            return error.reason
        return found.pixel_id, found.width, found.height, found.notes

    directly = outcome()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unpack, "jpeg", lambda data: None)
        assert outcome() == directly


def test_a_plain_jpeg_is_read_directly(monkeypatch):
    read = []
    monkeypatch.setattr(unpack, "jpeg", lambda data, jpeg=unpack.jpeg: read.append(jpeg(data)) or read[-1])
    for data in JPEGS[:5]:
        decode(data)
    assert len(read) == 5
    assert all(pixels is not None for pixels in read)


def test_png_and_thumbnail():
    canonical = decode(encode_png(SCENE))
    assert np.array_equal(canonical.pixels, SCENE)
    small = decode(thumbnail(SCENE, 48))
    assert (small.format, small.width, small.height) == ("WEBP", 48, 40)
    assert np.abs(small.pixels.astype(int) - shrink(SCENE, 48)).mean() < 12


def test_real_photographs_decode_as_opencv_does():
    photos = sorted((Path(__file__).parents[2] / "shared" / "photos").glob("*/00.jpg"))[:3]
    if not photos:
        pytest.skip("the photographs are not here")
    for photo in photos:
        other = cv2.imdecode(np.frombuffer(photo.read_bytes(), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
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


def test_the_histogram_counts_every_pixel_of_the_luma():
    seen = decode(saved(SCENE))
    assert (seen.histogram == np.bincount(seen.luma.ravel(), minlength=256)).all()
    assert not seen.histogram.flags.writeable


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"DreamBooth data", '"DreamBooth d"'),
        (b"a\nb and more text", "61 0a 62"),
        (b"PK\x03\x04rest", "50 4b 03 04"),
        (b"\xe2\x82\xac", "e2 82 ac"),
    ],
)
def test_what_is_no_picture_is_told_by_its_beginning_in_words_a_person_reads(data, told):
    with pytest.raises(PictureError, match=f"no picture format starts with {re.escape(told)}"):
        imaging.decode(data)
