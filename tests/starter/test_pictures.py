import hashlib
import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dedup import perceptual
from pipeline.imaging import decode, encode_png
from pipeline.starter import pictures
from pipeline.starter.scene import (
    COLORS,
    KEPT_OUT_STYLES,
    PLACES,
    RELATIONS,
    SHAPES,
    SIZES,
    STYLES,
    TEXTURES,
    Scene,
    Thing,
)  # fmt: skip
from pipeline.starter.subjects import OWN_COLORS

seeds = st.integers(0, 2**40)
anything = st.sampled_from([None, True, False])


def test_a_style_of_ones_own_is_drawn_and_named_in_most_captions():
    made = [pictures.styled("chalk", seed) for seed in range(40)]
    assert {one.scene.style for one in made} == {"chalk"}
    assert sum("chalk" in one.caption for one in made) > 20
    plain = pictures.picture(3)
    assert made[3].scene.thing == plain.scene.thing
    assert (made[3].pixels != plain.pixels).any()


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
        "for d in [*(p.picture(s) for s in range(12)), p.subject('snail', 3), p.picture(5, held_out=True, things=2)]:\n"
        "    print(hashlib.sha256(d.pixels.tobytes() + d.caption.encode() + repr(d.scene).encode()).hexdigest())\n"
        "print(hashlib.sha256(p.clutter(4).tobytes()).hexdigest())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    here = [*map(pictures.picture, range(12)), pictures.subject("snail", 3)]
    here.append(pictures.picture(5, held_out=True, things=2))
    clutter = hashlib.sha256(pictures.clutter(4).tobytes()).hexdigest()
    assert done.stdout.split() == [*map(told, here), clutter]


def alone(shape="square", color="red", *, size="small", place="in the middle", ground="blue", **more):
    look = {"texture": "plain", "style": "flat"} | more
    return Scene(Thing(shape, color), size=size, place=place, background=ground, **look)


def of_color(pixels, color):
    """Centre (x, y) and half-height of the pixels nearest to a colour, as shares of the side."""
    apart = np.linalg.norm(pixels[:, :, None].astype(float) - np.array(list(COLORS.values())), axis=3).argmin(axis=2)
    down, across = np.nonzero(apart == list(COLORS).index(color))
    side = len(pixels)
    ends = (across.min() + across.max() + 1, down.min() + down.max() + 1, np.ptp(down))
    return tuple(float(end) / 2 / side for end in ends)


@pytest.mark.parametrize("texture", TEXTURES)
@pytest.mark.parametrize("style", STYLES)
def test_the_pixels_show_the_colours_that_the_scene_says(seen, style, texture):
    """Of every pair of thing and ground, so that none can hide the other; ink, paper and shadow are left aside."""
    for at, color in enumerate(COLORS):
        for step in range(1, len(COLORS)):
            ground = list(COLORS)[(at + step) % len(COLORS)]
            drawn = alone("square", color, size="big", ground=ground, texture=texture, style=style)
            found, others = seen(pictures.render(drawn, seed=step))
            assert found == ground, (color, ground)
            assert color in others[:2], (color, ground, others)


@pytest.mark.parametrize("place", PLACES)
def test_the_thing_is_where_the_scene_says(place):
    for seed in range(8):
        across, down, _ = of_color(pictures.render(alone(place=place), seed=seed), "red")
        assert (across, down) == pytest.approx(PLACES[place], abs=0.05)


def test_the_thing_is_as_big_as_the_scene_says():
    heights = {}
    for size in SIZES:
        drawn = [pictures.render(alone("circle", size=size), seed=seed) for seed in range(8)]
        heights[size] = [of_color(one, "red")[2] for one in drawn]
        assert heights[size] == pytest.approx([SIZES[size]] * 8, rel=0.15)
    assert max(heights["small"]) < min(heights["big"])


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_edge_cuts_off_no_more_than_a_tenth_of_a_thing(shape, place):
    def shown(where):
        drawn = [pictures.render(alone(shape, size="big", place=where), seed=seed).astype(int) for seed in range(4)]
        return np.mean([(np.abs(one - COLORS["red"]).sum(axis=2) < 60).sum() for one in drawn])

    assert shown(place) > 0.9 * shown("in the middle")


@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_two_things_stand_to_each_other_as_the_scene_says(relation, shape):
    drawn = Scene(
        Thing(shape, "red"), size="", place="", background="white", texture="plain", style="flat",
        other=Thing("circle", "blue"), relation=relation,
    )  # fmt: skip
    for seed in range(4):
        pixels = pictures.render(drawn, seed=seed)
        (x, y, half), (other_x, other_y, other_half) = of_color(pixels, "red"), of_color(pixels, "blue")
        if relation == "left of":
            assert x < other_x - 0.3
        elif relation == "above":
            assert y < other_y - 0.3
        else:
            assert abs(x - other_x) < 0.12
            assert abs(y - other_y) < 0.12
            assert half < 0.6 * other_half


def test_a_thing_inside_another_leaves_it_to_be_seen():
    for seed in range(60):
        drawn = pictures.picture(seed, things=2)
        if drawn.scene.relation == "inside":
            for thing in drawn.scene.things:
                near = np.linalg.norm(drawn.pixels.astype(float) - COLORS[thing.color], axis=2) < 60
                assert near.mean() > 0.01, drawn.scene


@pytest.mark.parametrize("style", KEPT_OUT_STYLES)
def test_a_kept_out_style_can_be_drawn(seen, style):
    ground, others = seen(pictures.render(alone(size="big", style=style)))
    assert ground == "blue"
    assert others[0] == "red"


@pytest.mark.parametrize("name", pictures.SUBJECTS)
def test_a_subject_names_its_class_and_stands_before_the_ground_it_names(seen, name):
    for seed in range(30):
        drawn = pictures.subject(name, seed)
        assert drawn.caption.startswith(f"a {name} ")
        assert drawn.caption.endswith(f" {drawn.scene.background} background")
        assert " a orange" not in drawn.caption
        assert (drawn.scene.thing.shape, drawn.scene.thing.color) == (name, OWN_COLORS[name][0])
        assert drawn.scene.background not in OWN_COLORS[name]
        assert seen(drawn.pixels)[0] == drawn.scene.background


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
