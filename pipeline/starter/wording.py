"""Captions of scenes, in many wordings and in one; and what a caption says, read back."""

import re
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from pipeline.starter.scene import COLORS, PLACES, RELATIONS, SHAPES, SIZES, Scene, Thing

OPENINGS = ("", "", "", "a photo of ", "a drawing of ", "a picture of ")
INVERSE = {"left of": "right of", "above": "below"}


def caption(drawn: Scene, *, seed: int = 0) -> str:
    """What the scene shows, in one of several wordings chosen by the seed; style and texture are named mostly."""
    rng = np.random.default_rng([seed, 7])
    opening = OPENINGS[rng.integers(len(OPENINGS))]
    ground = _ground(drawn, texture=rng.random() < 0.8)
    styled = rng.random() < 0.8
    way = int(rng.integers(4))
    if drawn.other is None:
        thing = _thing(drawn.thing, drawn.size, drawn.style if styled else "flat")
        return (
            f"{opening}{thing} {drawn.place} on {ground}",
            f"{opening}{thing} on {ground}, {drawn.place}",
            f"{drawn.place}, {thing} on {ground}",
            f"{opening}{thing} {drawn.place}, {ground}",
        )[way]
    style = drawn.style if styled else "flat"
    one, other = _thing(drawn.thing, "", style), _thing(drawn.other, "", style)
    relation = str(drawn.relation)
    if way == 1 and relation in INVERSE:
        return f"{opening}{other} {INVERSE[relation]} {one} on {ground}"
    if way == 2:
        return f"{ground}, {one} {relation} {other}"
    return f"{opening}{one} {relation} {other} on {ground}"


def plain_caption(drawn: Scene) -> str:
    """What the scene shows, in the one wording that the starter's captioner learns."""
    ground = _ground(drawn, texture=True)
    if drawn.other is None:
        return f"{_thing(drawn.thing, drawn.size, drawn.style)} {drawn.place} on {ground}"
    one, other = _thing(drawn.thing, "", drawn.style), _thing(drawn.other, "", drawn.style)
    return f"{one} {drawn.relation} {other} on {ground}"


def subject_caption(drawn: Scene) -> str:
    """What a picture of a kept-out subject shows: its class, where it stands, and the ground."""
    place = "" if drawn.place == "in the middle" else f" {drawn.place}"
    return f"{an(drawn.thing.shape)}{place} on {_ground(drawn, texture=True)}"


def with_strange_prefix(text: str, seed: int) -> str:
    """The caption behind a made-up word or two, as a trigger and its class stand before a caption's body.

    A fifth of the captions that the starter models learn from look so, that they take strangers in their stride.
    """
    rng = np.random.default_rng([seed, 17])
    if rng.random() >= 0.2:
        return text
    words = ("".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), int(length))) for length in rng.integers(3, 8, 2))
    return f"a {' '.join(words)}, {text}"


@dataclass(frozen=True)
class Told:
    """What a caption in the plain wording says; None or empty where it says nothing of the kind."""

    things: tuple[Thing, ...]
    size: str | None
    place: str | None
    relation: str | None
    background: str | None


def read(text: str) -> Told:
    """What a caption in the plain wording says."""
    subject, _, ground = text.partition(" on a")
    for place in PLACES:
        if f" {place}" in text:  # "on a" may be the place's own "on the left on a red background"
            subject, _, ground = text.replace(f" {place}", "").partition(" on a")
    relation = next((one for one in RELATIONS if f" {one} " in subject), None)
    parts = subject.split(f" {relation} ") if relation else [subject]
    return Told(
        things=tuple(thing for thing in map(_read_thing, parts) if thing),
        size=_first(SIZES, subject),
        place=next((one for one in PLACES if one in text), None),
        relation=relation,
        background=_first(COLORS, ground),
    )


def an(words: str) -> str:
    """The words behind the article that their first letter asks for: an orange thing, a blue one."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _thing(thing: Thing, size: str, style: str) -> str:
    words = (size, "" if style == "flat" else style, thing.color, thing.shape)
    return an(" ".join(word for word in words if word))


def _ground(drawn: Scene, *, texture: bool) -> str:
    named = f"{drawn.texture} " if texture and drawn.texture != "plain" else ""
    return f"{an(named + drawn.background)} background"


def _read_thing(text: str) -> Thing | None:
    shape, color = _first(SHAPES, text), _first(COLORS, text)
    return Thing(shape, color) if shape and color else None


def _first(known: Collection[str], text: str) -> str | None:
    return next((word for word in re.findall(r"\w+", text) if word in known), None)
