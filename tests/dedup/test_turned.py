from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.dedup import perceptual, turned
from pipeline.duplicates import Near
from pipeline.imaging import decode, encode_png
from tests.dedup.test_perceptual import textured

PHOTOS = sorted((Path(__file__).parents[3] / "shared" / "photos").glob("*/0[0-3].jpg"))
BOTH = Near(flips=True, rotations=True)


def laid(pixels, way):
    """A picture, height x width x 3, laid in one of the ways."""
    return np.stack([way.lay(pixels[..., channel]) for channel in range(3)], -1)


def measured(pixels):
    picture = decode(encode_png(np.ascontiguousarray(pixels)))
    found = perceptual.measure(picture, perceptual.Params()) | turned.measure(picture, turned.Params())
    return found["perceptual__hash"], found["turned__hashes"], found["perceptual__colors"]


def pairs(pictures, near):
    """What is found among pictures by name."""
    names = list(pictures)
    hashes, lying, colours = (np.array(one, np.uint64) for one in zip(*map(measured, pictures.values()), strict=True))
    return {(a, b): link for a, b, link in turned.pairs(names, hashes, lying, colours, near)}


@pytest.mark.parametrize("way", turned.WAYS, ids=lambda way: way.told)
@pytest.mark.parametrize("near", [Near(), Near(flips=True), Near(rotations=True), BOTH])
def test_a_copy_is_found_in_the_ways_that_are_asked_for(way, near):
    pictures = {"a": textured(1), "b": laid(textured(1), way), "c": textured(2)}
    found = pairs(pictures, near)
    if way.flip <= near.flips and way.rotation <= near.rotations:
        assert {pair: link.reason for pair, link in found.items()} == {("a", "b"): f"looks alike, {way.told}"}
        assert int(found["a", "b"].value) <= 2
        assert found["a", "b"].limit == "6"
    else:
        assert not found


def test_both_mirrors_need_no_turn_and_a_half_turn_is_one():
    assert [turned.WAYS[one].told for one in turned.asked(Near(flips=True))] == ["mirrored", "mirrored upside down"]
    turns = ["turned by a half", "turned by a quarter", "turned by a quarter"]
    assert [turned.WAYS[one].told for one in turned.asked(Near(rotations=True))] == turns
    assert len(turned.asked(BOTH)) == len(turned.WAYS) == 7
    assert turned.asked(Near()) == turned.asked(None) == []


def test_the_ways_are_all_there_are():
    plane = np.arange(16).reshape(4, 4)
    made = {way.lay(plane).tobytes() for way in turned.WAYS} | {plane.tobytes()}
    turns = {np.rot90(side, times).tobytes() for side, times in product((plane, plane.T), range(4))}
    assert made == turns
    assert len(made) == 8


def test_colours_count_where_they_come_to_lie():
    flat = np.full((64, 64, 3), 90, np.uint8)
    flat[:, :32] += np.random.default_rng(0).integers(0, 60, (64, 32, 1), np.uint8)
    red, mirrored = flat.copy(), np.fliplr(flat).copy()
    red[:, :32, 0] += 100
    mirrored[:, 32:, 0] += 100  # the same side of the scene
    other = np.fliplr(flat).copy()
    other[:, :32, 0] += 100
    near = Near(flips=True, distance=12)
    assert pairs({"a": red, "b": mirrored}, near)
    assert not pairs({"a": red, "b": other}, near)
    assert pairs({"a": red, "b": other}, near.model_copy(update={"colour": 255}))


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_pairs_are_those_of_the_naive_loop_in_any_order(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    count = data.draw(st.integers(1, 14))
    pool = rng.integers(0, 2**64, 3, np.uint64)
    noise = lambda shape: np.uint64(1) << rng.integers(0, 64, shape).astype(np.uint64)  # noqa: E731 (drawn with)
    hashes = rng.choice(pool, count) ^ noise(count)
    lying = rng.choice(pool, (count, 7)) ^ noise((count, 7))
    colours = np.zeros(count, np.uint64)
    near = data.draw(st.sampled_from([Near(flips=True, distance=2), Near(rotations=True, distance=1), BOTH]))
    names = [f"{place:02}" for place in range(count)]
    expected = {}
    for one, other in combinations(range(count), 2):
        far = [
            (int(a ^ b).bit_count(), way)
            for way in turned.asked(near)
            for a, b in ((hashes[one], lying[other, way]), (hashes[other], lying[one, way]))
        ]
        bits, way = min(far)
        if bits <= near.distance:
            expected[names[one], names[other]] = (bits, f"looks alike, {turned.WAYS[way].told}")
    order = rng.permutation(count)
    shuffled = [names[place] for place in order], hashes[order], lying[order], colours
    found = list(turned.pairs(*shuffled, near))
    assert len(found) == len({(a, b) for a, b, _ in found})
    assert {(a, b): (link.distance, link.reason) for a, b, link in found} == expected


def test_the_hash_toward_another_is_the_closest_that_is_asked_for():
    hashes = [0b1111, 0b0111, 0b0011, 0b0001, 0b1111, 0b1111, 0b1111]
    assert turned.toward(0, hashes, Near(rotations=True)) == 0b0001
    assert turned.toward(0, hashes, Near(flips=True)) == 0b0111


def test_no_pictures_have_no_pairs():
    none = np.empty(0, np.uint64)
    assert list(turned.pairs([], none, none.reshape(0, 7), none, BOTH)) == []


@pytest.mark.skipif(not PHOTOS, reason="the photographs are not here")
def test_photographs_are_no_mirrors_of_each_other_and_their_copies_are():
    pictures = {path.parent.name + path.stem: decode(path.read_bytes()).proxy for path in PHOTOS}
    assert not pairs(pictures, BOTH)
    copies = {f"{name} again": laid(one, turned.WAYS[0]) for name, one in pictures.items()}
    found = pairs(pictures | copies, BOTH)
    assert {(name, f"{name} again") for name in pictures} == set(found)
