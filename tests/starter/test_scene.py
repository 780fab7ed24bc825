import subprocess
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.starter.scene import (
    COLORS,
    KEPT_OUT_STYLES,
    PLACES,
    RELATIONS,
    ROOMY,
    SHAPES,
    SIZES,
    STYLES,
    TEXTURES,
    scene,
)  # fmt: skip
from pipeline.starter.subjects import PAINTERS

seeds = st.integers(0, 2**40)
counts = st.sampled_from([1, 2])


@given(seed=seeds, held_out=st.sampled_from([None, True, False]), things=st.sampled_from([None, 1, 2]))
def test_a_seed_gives_the_same_scene_as_asked_for(seed, held_out, things):
    drawn = scene(seed, held_out=held_out, things=things)
    assert drawn == scene(seed, held_out=held_out, things=things)
    assert held_out is None or drawn.held_out is held_out
    assert things is None or len(drawn.things) == things


@given(seed=seeds, wanted=st.booleans())
def test_asking_for_held_out_changes_only_what_it_must(seed, wanted):
    free = scene(seed)
    assert scene(seed, held_out=wanted) == free or free.held_out is not wanted


@given(seed=seeds)
def test_a_scene_is_whole_and_holds_nothing_kept_out(seed):
    drawn = scene(seed)
    colors = [*(thing.color for thing in drawn.things), drawn.background]
    assert len(set(colors)) == len(colors)
    assert set(colors) <= set(COLORS)
    assert {thing.shape for thing in drawn.things} <= set(SHAPES)
    assert drawn.texture in TEXTURES
    assert drawn.style in STYLES
    if drawn.other is None:
        assert drawn.relation is None
        assert drawn.size in SIZES
        assert drawn.place in PLACES
    else:
        assert drawn.relation in RELATIONS
        assert drawn.size == drawn.place == ""
        assert drawn.relation != "inside" or drawn.other.shape in ROOMY


def test_another_process_draws_the_same_scenes():
    code = "from pipeline.starter.scene import scene\nfor seed in range(40): s = scene(seed); print(s, s.held_out)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"{one} {one.held_out}" for one in map(scene, range(40))]


@pytest.mark.parametrize("things", [1, 2])
def test_one_in_ten_is_held_out_wherever_things_stand(things):
    drawn = [scene(seed, things=things) for seed in range(6000)]
    for place in {one.relation or one.place for one in drawn}:
        share = np.mean([one.held_out for one in drawn if (one.relation or one.place) == place])
        assert 0.07 < share < 0.135, place


def test_every_colour_and_shape_is_held_out_in_some_scenes_and_trained_on_in_most():
    drawn = [scene(seed) for seed in range(8000)]
    for word in (*SHAPES, *COLORS):
        of_it = [one.held_out for one in drawn for thing in one.things if word in (thing.shape, thing.color)]
        assert 0.03 < np.mean(of_it) < 0.2, word


@given(seed=seeds, style=st.sampled_from([*STYLES, *KEPT_OUT_STYLES]), texture=st.sampled_from(TEXTURES))
def test_style_texture_and_size_do_not_decide_what_is_held_out(seed, style, texture):
    drawn = scene(seed)
    assert replace(drawn, style=style, texture=texture, size="small").held_out is drawn.held_out


def test_every_word_comes_up_about_as_often_as_its_likes():
    drawn = [scene(seed) for seed in range(6000)]
    assert np.mean([len(one.things) == 2 for one in drawn]) == pytest.approx(1 / 3, abs=0.02)
    assert np.mean([one.texture == "plain" for one in drawn]) == pytest.approx(1 / 2, abs=0.02)
    alone = [one for one in drawn if one.other is None]
    for said, known in (
        ([one.thing.shape for one in drawn], SHAPES),
        ([one.thing.color for one in drawn], COLORS),
        ([one.background for one in drawn], COLORS),
        ([one.style for one in drawn], STYLES),
        ([one.texture for one in drawn if one.texture != "plain"], TEXTURES[1:]),
        ([one.size for one in alone], SIZES),
        ([one.place for one in alone], PLACES),
        ([one.relation for one in drawn if one.relation], RELATIONS),
    ):
        counted = Counter(said)
        assert set(counted) == set(known)
        assert max(counted.values()) < 1.3 * min(counted.values())


def test_there_is_as_much_to_see_as_was_asked_for():
    assert len(SHAPES) >= 12
    assert len(COLORS) >= 12
    assert len(STYLES) >= 4
    assert not set(KEPT_OUT_STYLES) & set(STYLES)
    words = [*SHAPES, *COLORS, *SIZES, *TEXTURES, *STYLES, *KEPT_OUT_STYLES, *PAINTERS]
    assert len(set(words)) == len(words)
