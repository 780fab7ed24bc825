import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline import ledger
from pipeline.dedup import perceptual
from pipeline.errors import PictureError
from pipeline.imaging import decode
from pipeline.scorers import borders, exposure, noise, sharpness
from pipeline.starter import defects, pictures
from pipeline.starter.scene import scene

SEEDS = range(6)


def good(seed):
    return pictures.subject("robot", seed, side=128).pixels


def made(kind, seed):
    return defects.KINDS[kind].make(good(seed), seed)


def shown(kind, seed):
    return decode(made(kind, seed).data)


def drawn(seed):
    return decode(defects.encoded(good(seed)))


@pytest.mark.parametrize("kind", defects.KINDS)
def test_the_same_is_made_each_time_and_the_picture_is_left_alone(kind):
    pixels = good(3)
    before = pixels.copy()
    one, other = (defects.KINDS[kind].make(pixels, 3) for _ in range(2))
    assert one == other
    assert (pixels == before).all()
    assert one.suffix in (".png", ".jpg", ".bmp")


@pytest.mark.parametrize("kind", defects.KINDS)
def test_what_ought_to_become_of_it_can_become_of_it(kind):
    assert set(defects.KINDS[kind].states) <= {*ledger.STATES, defects.FLAGGED}
    assert defects.KINDS[kind].copies == (defects.KINDS[kind].states == ("duplicate",))


@pytest.mark.parametrize("kind", ["resized copy", "recompressed copy", "watermarked copy", "flipped copy"])
def test_a_copy_shows_the_same_but_is_not_the_same(kind):
    for seed in SEEDS:
        copy, original = shown(kind, seed), good(seed)
        high, wide = copy.pixels.shape[:2]
        small = np.asarray(Image.fromarray(original).resize((wide, high)), float)
        small = small[:, ::-1] if kind == "flipped copy" else small
        assert copy.pixels.shape != original.shape or (copy.pixels != original).any()
        assert np.abs(copy.pixels - small).mean() < 25


def test_a_copy_is_made_as_its_detail_says():
    for seed in SEEDS:
        small, whole = shown("resized copy", seed).pixels, good(seed)
        assert made("resized copy", seed).detail == f"{small.shape[1]} x {small.shape[0]} px"
        assert 0.59 < len(small) / len(whole) < 0.81
        cut = shown("cropped copy", seed).pixels
        assert 0.91 < len(cut) / len(whole) < 0.98
        places = [(row, column) for row in range(12) for column in range(12)]
        assert any(
            np.array_equal(whole[row : row + len(cut), column : column + cut.shape[1]], cut) for row, column in places
        )
        assert (shown("flipped copy", seed).pixels == whole[:, ::-1]).all()


def test_a_mark_lies_across_a_tenth_of_the_picture():
    for seed in SEEDS:
        marked = np.abs(shown("watermarked copy", seed).pixels.astype(int) - good(seed)).max(axis=2) > 8
        assert 0.005 < marked.mean() < 0.3
        assert np.ptp(np.nonzero(marked.any(axis=0))[0]) > 90


def test_exact_copies_are_exact():
    for seed in SEEDS:
        assert made("same bytes", seed).data == defects.encoded(good(seed))
        assert made("same pixels", seed).data != defects.encoded(good(seed))
        assert shown("same pixels", seed).pixel_id == drawn(seed).pixel_id


def test_near_copies_hash_alike_and_flipped_ones_do_not():
    def apart(kind, seed):
        hashes = [
            perceptual.measure(one, perceptual.Params())["perceptual__hash"] for one in (shown(kind, seed), drawn(seed))
        ]
        return (hashes[0] ^ hashes[1]).bit_count()

    assert max(apart("resized copy", seed) for seed in SEEDS) <= 4
    assert max(apart("recompressed copy", seed) for seed in SEEDS) <= 6
    assert min(apart("flipped copy", seed) for seed in SEEDS) > 6


def scores(scorer, kind):
    params = scorer.Params()
    return [(scorer.measure(shown(kind, seed), params), scorer.measure(drawn(seed), params)) for seed in SEEDS]


def test_blurred_ones_are_less_sharp():
    for bad, fine in scores(sharpness, "blurred"):
        assert bad["sharpness__score"] < 0.2 < fine["sharpness__score"]


def test_dark_ones_are_dark_and_over_exposed_ones_bright():
    for bad, fine in scores(exposure, "dark"):
        assert bad["exposure__p99"] < 0.15 < 0.4 < fine["exposure__p99"]
    for bad, fine in scores(exposure, "over-exposed"):
        assert bad["exposure__p5"] > 0.95 > 0.9 > fine["exposure__p5"]


def test_noisy_ones_are_noisy_by_the_amount_that_they_say():
    for seed in SEEDS:
        measured = noise.measure(shown("noisy", seed), noise.Params())["noise__sigma"]
        said = float(made("noisy", seed).detail.split("sigma ")[1].split()[0])
        # luma of independent noise in three channels: the root of the sum of its squared weights
        assert measured == pytest.approx(said * np.sqrt(0.299**2 + 0.587**2 + 0.114**2), rel=0.3)
        assert measured > 15


def test_framed_ones_have_bars():
    for bad, fine in scores(borders, "bars or frame"):
        assert bad["borders__share"] > 0.08
        assert fine["borders__share"] == 0


def test_text_is_written_over_the_picture():
    for seed in SEEDS:
        changed = (shown("text over it", seed).pixels != good(seed)).any(axis=2)
        assert 0.02 < changed.mean() < 0.4
        assert not changed[50:80].any()


def test_tiny_ones_are_tiny():
    assert all(24 <= len(shown("tiny", seed).pixels) <= 48 for seed in SEEDS)


@pytest.mark.parametrize(
    ("kind", "reasons"),
    [("cut off", {"truncated", "corrupt"}), ("no picture", {"not_a_picture"}), ("empty file", {"empty"})],
)
def test_broken_ones_cannot_be_read(kind, reasons):
    for seed in SEEDS:
        with pytest.raises(PictureError) as refused:
            shown(kind, seed)
        assert refused.value.reason in reasons


def test_a_wrong_extension_lies_about_a_good_picture():
    one = made("wrong extension", 2)
    assert one.suffix == ".png"
    assert Image.open(io.BytesIO(one.data)).format == "JPEG"
    (note,) = decode(one.data, name=f"a{one.suffix}").notes
    assert note == "extension says png, content is JPEG"


@given(seed=st.integers(0, 2**30))
def test_a_mistaken_scene_is_wrong_about_ground_and_place_alone(seed):
    for things in (1, 2):
        shows = scene(seed, things=things)
        told = defects.mistaken(shows, seed)
        assert told.background not in {shows.background, *(thing.color for thing in shows.things)}
        assert (told.place == shows.place) == (things == 2)
        assert replace(told, background=shows.background, place=shows.place) == shows
