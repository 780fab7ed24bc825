import hashlib
import subprocess
import sys
from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dedup import perceptual
from pipeline.imaging import decode, encode_png
from pipeline.starter import drawing, pictures, quality

seeds = st.integers(0, 2**40)
anything = st.sampled_from([None, True, False])


def told(drawn):
    return hashlib.sha256(drawn.pixels.tobytes() + drawn.caption.encode() + repr(drawn.scene).encode()).hexdigest()


@given(seed=seeds, held_out=anything, side=st.sampled_from([32, 64, 96]))
def test_a_seed_gives_the_same_picture_caption_and_truth(seed, held_out, side):
    one, other = (pictures.picture(seed, side=side, held_out=held_out) for _ in range(2))
    assert one.pixels.shape == (side, side, 3)
    assert one.pixels.dtype == np.uint8
    assert told(one) == told(other)
    assert told(one) != told(pictures.picture(seed + 1, side=side, held_out=held_out))


def test_another_process_draws_the_same():
    script = (
        "import hashlib\n"
        "from pipeline.starter import pictures as p\n"
        "for d in [*(p.picture(s) for s in range(8)), p.subject('snail', 3), p.picture(5, held_out=True)]:\n"
        "    print(hashlib.sha256(d.pixels.tobytes() + d.caption.encode() + repr(d.scene).encode()).hexdigest())\n"
        "print(hashlib.sha256(p.clutter(4).tobytes()).hexdigest())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    here = [*map(pictures.picture, range(8)), pictures.subject("snail", 3), pictures.picture(5, held_out=True)]
    clutter = hashlib.sha256(pictures.clutter(4).tobytes()).hexdigest()
    assert done.stdout.split() == [*map(told, here), clutter]


@given(seed=seeds, wanted=st.booleans())
def test_held_out_is_honoured_and_changes_a_scene_only_where_it_must(seed, wanted):
    drawn = pictures.scene(seed, held_out=wanted)
    assert drawn.held_out is wanted
    free = pictures.scene(seed)
    assert drawn == free or free.held_out is not wanted


def test_one_in_ten_combinations_is_held_out():
    share = np.mean([pictures.scene(seed).held_out for seed in range(2000)])
    assert 0.07 < share < 0.13


@given(
    seed=seeds,
    style=st.sampled_from([*pictures.STYLES, *pictures.KEPT_OUT_STYLES]),
    size=st.sampled_from(["small", "big"]),
)
def test_style_and_size_do_not_decide_what_is_held_out(seed, style, size):
    drawn = pictures.scene(seed)
    other = replace(drawn, style=style, size=size)
    assert other.held_out is drawn.held_out


@given(seed=seeds)
def test_nothing_kept_out_is_in_a_scene(seed):
    drawn = pictures.scene(seed)
    assert drawn.shape in pictures.SHAPES
    assert drawn.style in pictures.STYLES
    assert drawn.color != drawn.background
    text = pictures.caption(drawn, seed=seed)
    for word in (*pictures.SUBJECTS, *pictures.KEPT_OUT_STYLES):
        assert word not in text


@given(seed=seeds, wording=st.integers(0, 50))
def test_what_the_caption_says_is_what_the_scene_is(seed, wording):
    drawn = pictures.scene(seed)
    for text in (pictures.caption(drawn, seed=wording), pictures.plain_caption(drawn)):
        words = text.replace(",", "").split()
        assert [word for word in words if word in pictures.SHAPES] == [drawn.shape]
        assert [word for word in words if word in pictures.SIZES] == [drawn.size]
        assert [word for word in words if word in drawing.COLORS] == [drawn.color, drawn.background]
        assert [word for word in words if word in pictures.STYLES] == ([] if drawn.style == "flat" else [drawn.style])
        assert [place for place in pictures.PLACES if place in text] == [drawn.place]
        assert f"{drawn.background} background" in text
        for article, noun in pairwise(words):
            if article in ("a", "an"):
                assert (article == "an") == (noun[0] in "aeiou"), text


@given(seed=seeds)
def test_a_strange_prefix_leaves_the_caption_whole(seed):
    text = pictures.with_strange_prefix("a small red circle", seed)
    assert text.endswith("a small red circle")
    assert text == "a small red circle" or len(text.split(",")[0].split()) == 3


def test_a_fifth_of_the_captions_have_a_strange_prefix():
    share = np.mean([pictures.with_strange_prefix("x", seed) != "x" for seed in range(2000)])
    assert 0.17 < share < 0.23


def test_the_pixels_show_what_the_scene_says():
    right = []
    for seed in range(200):
        drawn = pictures.picture(seed)
        right.append(quality.seen(drawn.pixels) == (drawn.scene.background, drawn.scene.color))
    assert np.mean(right) >= 0.95


def middle(drawn):
    """Centre (x, y) of what is not the ground, and the half-height of it, as shares of the side."""
    pixels = drawn.pixels.astype(float)
    thing = np.linalg.norm(pixels - np.median(pixels[:, 0], axis=0), axis=2) > 60
    down, across = np.nonzero(thing)
    side = len(pixels)
    return (
        (across.min() + across.max() + 1) / 2 / side,
        (down.min() + down.max() + 1) / 2 / side,
        np.ptp(down) / 2 / side,
    )


@pytest.mark.parametrize("place", pictures.PLACES)
def test_the_thing_is_where_the_scene_says(place):
    for seed in range(8):
        drawn = pictures.Scene("square", "red", "small", place, "blue", "flat")
        across, down, _ = middle(pictures.Picture(pictures.render(drawn, seed=seed), "", drawn))
        assert (across, down) == pytest.approx(pictures.PLACES[place], abs=0.05)


def test_the_thing_is_as_big_as_the_scene_says():
    heights = {}
    for size in pictures.SIZES:
        drawn = [pictures.Scene("circle", "red", size, "in the middle", "blue", "flat")] * 8
        heights[size] = [
            middle(pictures.Picture(pictures.render(one, seed=seed), "", one))[2] for seed, one in enumerate(drawn)
        ]
        assert heights[size] == pytest.approx([pictures.SIZES[size]] * 8, rel=0.15)
    assert max(heights["small"]) < min(heights["big"])


@pytest.mark.parametrize("name", pictures.SUBJECTS)
def test_a_subject_names_its_class_and_stands_on_the_ground_it_names(name):
    for seed in range(20):
        drawn = pictures.subject(name, seed)
        assert drawn.caption.startswith(f"a {name} ")
        assert f" {drawn.scene.background} background" in drawn.caption
        assert " a orange" not in drawn.caption
        assert quality.seen(drawn.pixels)[0] == drawn.scene.background


@pytest.mark.parametrize("name", pictures.SUBJECTS)
def test_pictures_of_a_subject_do_not_hash_alike(name):
    def measured(seed):
        return perceptual.measure(
            decode(encode_png(pictures.subject(name, seed, side=128).pixels)), perceptual.Params()
        )

    hashes = [measured(seed)["perceptual__hash"] for seed in range(48)]
    near = [(one ^ other).bit_count() <= 2 for one, other in combinations(hashes, 2)]
    assert np.mean(near) < 0.005


def test_clutter_is_clutter():
    made = [pictures.clutter(seed) for seed in range(20)]
    assert all(one.shape == (64, 64, 3) and one.std() > 10 for one in made)
    assert len({one.tobytes() for one in made}) == 20
