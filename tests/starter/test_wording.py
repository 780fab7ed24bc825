from dataclasses import replace
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

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
    scene,
)  # fmt: skip
from pipeline.starter.subjects import PAINTERS
from pipeline.starter.wording import INVERSE, Told, an, caption, plain_caption, read, with_strange_prefix

seeds = st.integers(0, 2**40)
colors, shapes = st.sampled_from(sorted(COLORS)), st.sampled_from(SHAPES)
things = st.builds(Thing, shapes, colors)
grounds = {
    "background": colors,
    "texture": st.sampled_from(TEXTURES),
    "style": st.sampled_from([*STYLES, *KEPT_OUT_STYLES]),
}
alone = st.builds(Scene, things, size=st.sampled_from(sorted(SIZES)), place=st.sampled_from(sorted(PLACES)), **grounds)
both = st.builds(
    Scene, things, size=st.just(""), place=st.just(""), other=things, relation=st.sampled_from(RELATIONS), **grounds
)


@given(drawn=alone | both)
def test_reading_undoes_the_plain_caption(drawn):
    told = Told(drawn.things, drawn.size or None, drawn.place or None, drawn.relation, drawn.background)
    assert read(plain_caption(drawn)) == told


@given(text=st.text() | st.lists(st.sampled_from(["a", "on", "red", "circle", "inside", "on the left"])).map(" ".join))
def test_reading_takes_any_text(text):
    assert all(thing.shape in SHAPES and thing.color in COLORS for thing in read(text).things)


def test_what_a_caption_does_not_say_is_not_read_from_it():
    assert read("") == Told((), None, None, None, None)
    assert read("a circle on a background") == Told((), None, None, None, None)
    assert read("a red circle") == Told((Thing("circle", "red"),), None, None, None, None)


@given(drawn=alone | both, wording=st.integers(0, 200))
def test_what_a_caption_says_is_what_the_scene_is(drawn, wording):
    text = caption(drawn, seed=wording)
    words = text.replace(",", "").split()
    assert sorted(word for word in words if word in SHAPES) == sorted(thing.shape for thing in drawn.things)
    named = sorted([*(thing.color for thing in drawn.things), drawn.background])
    assert sorted(word for word in words if word in COLORS) == named
    assert [word for word in words if word in SIZES] == ([drawn.size] if drawn.size else [])
    assert [place for place in PLACES if place in text] == ([drawn.place] if drawn.place else [])
    assert f"{drawn.background} background" in text
    assert {word for word in words if word in (*STYLES, *KEPT_OUT_STYLES)} <= {drawn.style}
    assert {word for word in words if word in TEXTURES} <= {drawn.texture} - {"plain"}
    assert caption(drawn, seed=wording) == text


@given(drawn=both, wording=st.integers(0, 200))
def test_a_relation_is_said_the_right_way_round(drawn, wording):
    text = caption(drawn, seed=wording)
    one, other = (f"{thing.color} {thing.shape}" for thing in drawn.things)
    (said,) = (word for word in (*RELATIONS, *INVERSE.values()) if f" {word} " in text)
    first, second = text.split(f" {said} ")
    if said == drawn.relation:
        assert one in first
        assert other in second
    else:
        assert said == INVERSE[drawn.relation]
        assert other in first
        assert one in second


@given(drawn=alone | both, wording=st.integers(0, 200))
def test_the_english_is_right(drawn, wording):
    for text in (caption(drawn, seed=wording), plain_caption(drawn)):
        words = text.replace(",", "").split()
        for article, noun in pairwise(words):
            if article in ("a", "an"):
                assert (article == "an") == (noun[0] in "aeiou"), text
        assert "  " not in text
        assert text == text.strip(" ,")
        for word, shape in pairwise(words):
            assert shape not in SHAPES or word in COLORS, text


def test_the_wording_varies():
    drawn = scene(3, things=1)
    assert len({caption(drawn, seed=seed) for seed in range(200)}) >= 10
    drawn = scene(3, things=2)
    assert len({caption(drawn, seed=seed) for seed in range(200)}) >= 8


def test_style_and_texture_go_unnamed_in_a_fifth_of_the_captions():
    drawn = replace(scene(3, things=1), style="outlined", texture="dotted")
    texts = [caption(drawn, seed=seed) for seed in range(3000)]
    for word in ("outlined", "dotted"):
        assert 0.77 < np.mean([word in text for text in texts]) < 0.83
    assert "outlined" in plain_caption(drawn)
    assert "dotted" in plain_caption(drawn)


@given(seed=seeds)
def test_nothing_kept_out_is_ever_named(seed):
    words = caption(scene(seed), seed=seed).split()
    assert not {*PAINTERS, *KEPT_OUT_STYLES} & set(words)


@given(seed=seeds)
def test_a_strange_prefix_leaves_the_caption_whole(seed):
    text = with_strange_prefix("a small red circle", seed)
    assert text.endswith("a small red circle")
    assert text == "a small red circle" or len(text.split(",")[0].split()) == 3


def test_a_fifth_of_the_captions_have_a_strange_prefix():
    assert 0.17 < np.mean([with_strange_prefix("x", seed) != "x" for seed in range(2000)]) < 0.23


def test_articles():
    assert [an(word) for word in ("orange ring", "outlined star", "unlit", "blue ring")] == [
        "an orange ring", "an outlined star", "an unlit", "a blue ring",
    ]  # fmt: skip
