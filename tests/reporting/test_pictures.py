import base64
from io import BytesIO

import numpy as np
import pytest
from PIL import Image as Pillow

from pipeline.reporting.pictures import Album, thumbnail
from pipeline.starter import pictures


def noise(side: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)


def opened(image) -> Pillow.Image:
    kind, _, data = image.uri.partition(";base64,")
    assert kind.startswith("data:image/")
    return Pillow.open(BytesIO(base64.b64decode(data)))


def test_a_thumbnail_is_small_webp_of_the_same_shape():
    encoded = thumbnail(np.zeros((300, 600, 3), np.uint8), longest=112)
    with Pillow.open(BytesIO(encoded)) as image:
        assert (image.format, image.size) == ("WEBP", (112, 56))


def test_a_thin_picture_keeps_a_pixel():
    with Pillow.open(BytesIO(thumbnail(np.zeros((1, 20000, 3), np.uint8)))) as image:
        assert image.size == (112, 1)


def test_tiny_pictures_lose_nothing():
    pixels = pictures.picture(3, side=64).pixels
    image = Album({}).picture(pixels, longest=512)
    assert image.tiny
    assert np.array_equal(np.asarray(opened(image).convert("RGB")), pixels)


def test_pictures_are_scaled_down_and_never_up():
    album = Album({})
    assert (album.picture(noise(300), longest=200).width, album.picture(noise(100), longest=200).width) == (200, 100)


@pytest.mark.parametrize(("kind", "mime"), [("PNG", "png"), ("JPEG", "jpeg"), ("GIF", "gif"), ("WEBP", "webp")])
def test_encoded_pictures_go_in_as_they_are(kind, mime):
    out = BytesIO()
    Pillow.fromarray(noise(40)).save(out, kind)
    image = Album({"a": out.getvalue()}).thumbnail("a")
    assert image.uri == f"data:image/{mime};base64,{base64.b64encode(out.getvalue()).decode()}"


def test_other_kinds_are_refused():
    out = BytesIO()
    Pillow.fromarray(noise(40)).save(out, "BMP")
    with pytest.raises(ValueError, match="WebP"):
        Album({"a": out.getvalue()}).thumbnail("a")


def test_what_has_no_thumbnail_is_none_and_not_counted():
    album = Album({})
    assert album.thumbnail("nobody") is None
    assert album.left_out == 0


def test_the_budget_holds():
    encoded = thumbnail(noise(112))
    album = Album({"a": encoded}, budget=10_000)
    taken = [album.thumbnail("a") for _ in range(20)]
    assert sum(len(image.uri) for image in taken if image) <= 10_000
    assert album.left_out == taken.count(None) > 0


def test_a_sheet_shrinks_until_it_fits():
    sheet = [noise(256)] * 12
    roomy, tight = Album({}).sheet(sheet, sizes=(256, 64)), Album({}, budget=400_000).sheet(sheet, sizes=(256, 64))
    assert {image.width for image in roomy} == {256}
    assert {image.width for image in tight} == {64}


def test_a_sheet_that_never_fits_is_cut_short():
    album = Album({}, budget=50_000)
    images = album.sheet([noise(256)] * 12, sizes=(256, 64))
    assert len(images) == 12
    assert images[0] is not None
    assert images[-1] is None
    assert album.left_out == images.count(None)
