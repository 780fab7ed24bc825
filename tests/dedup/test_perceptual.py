import io
from pathlib import Path

import cv2
import imagehash
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.dedup import perceptual
from pipeline.dedup.perceptual import neighbours
from pipeline.imaging import decode, encode_png
from pipeline.starter.pictures import picture

PHOTOS = sorted((Path(__file__).parents[3] / "shared" / "photos").glob("*/0[0-1].jpg"))


def textured(seed, shape=(300, 400)):
    """Clouds: a picture with structure at every scale, as photographs have."""
    rng = np.random.default_rng(seed)
    clouds = np.zeros((*shape, 3))
    for size in (3, 6, 12, 24, 48):
        grid = rng.normal(size=(size, size, 3)) / size**0.5
        clouds += cv2.resize(grid, shape[::-1], interpolation=cv2.INTER_CUBIC)
    low, high = clouds.min(), clouds.max()
    return ((clouds - low) / (high - low) * 255).astype(np.uint8)


def saved(pixels, kind="PNG", **options):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind, **options)
    return out.getvalue()


def measured(data):
    return perceptual.measure(decode(data), perceptual.Params())


def hash_of(pixels):
    return measured(encode_png(np.ascontiguousarray(pixels)))["perceptual__hash"]


def bits(one, two):
    return (one ^ two).bit_count()


@pytest.mark.parametrize("seed", range(8))
def test_it_agrees_with_imagehash(seed):
    pixels = textured(seed)
    assert bits(hash_of(pixels), int(str(imagehash.phash(Image.fromarray(pixels))), 16)) <= 4


@pytest.mark.skipif(not PHOTOS, reason="the photographs are not here")
def test_it_agrees_with_imagehash_on_photographs():
    for path in PHOTOS[::3]:
        with Image.open(path) as image:
            expected = int(str(imagehash.phash(image)), 16)
        assert bits(measured(path.read_bytes())["perceptual__hash"], expected) <= 4


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("scale", "quality"), [(0.25, 90), (0.5, 50), (0.77, 30), (1, 20), (1.5, 80)])
def test_resizing_and_recompression_stay_within_6_bits(seed, scale, quality):
    pixels = textured(seed)
    size = round(400 * scale), round(300 * scale)
    worse = saved(cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC), "JPEG", quality=quality)
    assert bits(hash_of(pixels), measured(worse)["perceptual__hash"]) <= 6


def test_different_pictures_are_far_apart():
    hashes = np.array([hash_of(textured(seed)) for seed in range(20)], np.uint64)
    mine, other, _ = neighbours(hashes, hashes, distance=10)
    assert np.array_equal(mine, other)


def test_a_turned_twin_is_found_by_its_upright_pixels():
    pixels = textured(1)
    exif = Image.Exif()
    exif[274] = 6
    turned = saved(np.ascontiguousarray(np.rot90(pixels)), "PNG", exif=exif)
    assert measured(turned)["perceptual__hash"] == hash_of(pixels)


def colors_of(pixels):
    return np.uint64(measured(encode_png(np.ascontiguousarray(pixels)))["perceptual__colors"])


def test_colours_are_the_means_of_the_quarters():
    quarters = np.array([[(0, 0, 0), (255, 255, 255)], [(200, 40, 96), (40, 200, 8)]], np.uint8)
    other = quarters.copy()
    other[1, 0] = (200, 140, 96)
    one, two = (colors_of(each.repeat(50, 0).repeat(70, 1)) for each in (quarters, other))
    assert perceptual.colour_distance(one, one) == 0
    assert perceptual.colour_distance(one, two) == (140 // 8 - 40 // 8) * 8
    assert perceptual.colour_distance(np.array([one, two]), np.array([two, two])).tolist() == [96, 0]


def test_colourways_are_apart_where_the_hash_is_not():
    pixels = textured(3)
    swapped = pixels[..., [2, 0, 1]]
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None].repeat(3, 2)
    assert bits(hash_of(grey), hash_of(pixels)) <= 2
    assert perceptual.colour_distance(colors_of(grey), colors_of(pixels)) >= 16
    assert perceptual.colour_distance(colors_of(swapped), colors_of(pixels)) >= 16


@pytest.mark.parametrize("seed", range(4))
def test_recompression_hardly_moves_the_colours(seed):
    pixels = textured(seed)
    worse = measured(saved(cv2.resize(pixels, (200, 150), interpolation=cv2.INTER_AREA), "JPEG", quality=30))
    assert perceptual.colour_distance(np.uint64(worse["perceptual__colors"]), colors_of(pixels)) <= 8


@pytest.mark.parametrize("level", [0, 90, 255])
def test_one_colour_is_flat(level):
    assert measured(encode_png(np.full((60, 90, 3), level, np.uint8)))["perceptual__flat"] is True


def test_a_little_noise_on_one_colour_is_still_flat():
    noise = np.random.default_rng(0).normal(128, 6, (256, 256, 3)).astype(np.uint8)
    assert measured(encode_png(noise))["perceptual__flat"] is True


@pytest.mark.parametrize("seed", range(5))
def test_pictures_that_show_something_are_not_flat(seed):
    assert measured(encode_png(picture(seed).pixels))["perceptual__flat"] is False
    assert measured(encode_png(textured(seed)))["perceptual__flat"] is False


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 900, 3), (31, 33, 3)])
def test_any_size_has_a_hash(shape):
    assert 0 <= hash_of(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)) < 2**64


hashes = st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 7), max_size=40).map(lambda one: np.array(one, np.uint64))


@settings(deadline=None)
@given(hashes, hashes, st.integers(0, 64))
def test_neighbours_are_those_of_the_naive_loop(new, known, distance):
    expected = [
        (i, j, bits(int(a), int(b)))
        for i, a in enumerate(new)
        for j, b in enumerate(known)
        if bits(int(a), int(b)) <= distance
    ]
    found = neighbours(new, known, distance=distance)
    assert list(zip(*(one.tolist() for one in found), strict=True)) == expected
    assert [one.dtype for one in found] == [np.int64, np.int64, np.uint8]


def test_neighbours_are_found_and_ordered_across_blocks():
    rng = np.random.default_rng(0)
    known = rng.integers(0, 2**64, 2 * perceptual._COLUMNS + 77, dtype=np.uint64)
    new = rng.integers(0, 2**64, 2 * perceptual._ROWS + 5, dtype=np.uint64)
    planted = {0: [len(known) - 1, 3], perceptual._ROWS: [perceptual._COLUMNS], len(new) - 1: [0]}
    for mine, others in planted.items():
        for flip, other in enumerate(others):
            known[other] = new[mine] ^ np.uint64(1 << flip)
    found = neighbours(new, known, distance=8)
    expected = sorted((mine, other) for mine, others in planted.items() for other in others)
    assert list(zip(found[0].tolist(), found[1].tolist(), strict=True)) == expected
    assert found[2].tolist() == [1] * 4


@given(height=st.integers(1, 60), width=st.integers(1, 60), seed=st.integers(0, 99))
def test_quarters_are_exact_means_and_a_middle_line_counts_on_both_sides(height, width, seed):
    proxy = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    rows, columns = -(-height // 2), -(-width // 2)
    quarters = [
        proxy[top, left] for top in (np.s_[:rows], np.s_[-rows:]) for left in (np.s_[:columns], np.s_[-columns:])
    ]
    wanted = [
        int(np.uint64(one[..., channel].sum()) // (one[..., channel].size * 8))
        for one in quarters
        for channel in range(3)
    ]
    assert [perceptual._quarters(proxy) >> 5 * place & 31 for place in range(12)] == wanted


@given(height=st.integers(2, 60), width=st.integers(2, 60), seed=st.integers(0, 99))
def test_quarters_are_nearly_those_of_a_picture_shrunk_to_two_by_two(height, width, seed):
    proxy = textured(seed, (height, width))
    shrunk = cv2.resize(proxy, (2, 2), interpolation=cv2.INTER_AREA).ravel().astype(int)
    fields = np.array([perceptual._quarters(proxy) >> 5 * place & 31 for place in range(12)])
    middle = max(0 if height % 2 == 0 else 255 / height, 0 if width % 2 == 0 else 255 / width)
    assert (np.abs(fields * 8 + 4 - shrunk) <= 5 + 2 * middle).all()
