"""Captioned pictures drawn from a seed: what the starter models learn from, and what the demo and the tests prepare.

The same seed always gives the same picture, caption and truth. `scene` says what there is to see, `wording` how it is
said; subjects and two styles are kept out of all training, so that fine-tuning has something to teach.
"""

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from pipeline.starter import scene as scenes
from pipeline.starter.drawing import Pixels, outline, paint, shade
from pipeline.starter.grounds import ground
from pipeline.starter.scene import COLORS, PLACES, SHAPES, SIZES, Scene, Thing
from pipeline.starter.subjects import OWN_COLORS, PAINTERS
from pipeline.starter.wording import caption, subject_caption

SUBJECTS = tuple(PAINTERS)
"""Things that no starter model has seen; for DreamBooth, LoRA and textual inversion to learn."""
APART = 0.22
"""How far two things stand from the middle, as a share of the picture's side."""


@dataclass(frozen=True)
class Picture:
    """One drawn picture with its caption and its truth."""

    pixels: Pixels
    caption: str
    scene: Scene


def picture(seed: int, *, side: int = 64, held_out: bool | None = None, things: int | None = None) -> Picture:
    """The picture of a seed, `side` x `side` pixels, with one of the ways to say what it shows."""
    drawn = scenes.scene(seed, held_out=held_out, things=things)
    return Picture(render(drawn, seed=seed, side=side), caption(drawn, seed=seed), drawn)


def styled(style: str, seed: int, *, side: int = 64) -> Picture:
    """The picture of a seed in this style, such as one that is kept out of training: a domain to adapt to."""
    drawn = replace(scenes.scene(seed), style=style)
    return Picture(render(drawn, seed=seed, side=side), caption(drawn, seed=seed), drawn)


def subject(name: str, seed: int, *, side: int = 64) -> Picture:
    """A kept-out subject in a scene of this seed; its caption names the class and the ground.

    The scene's thing has the subject's main colour, and the ground is one that the subject stands out from.
    """
    drawn, own = scenes.scene(seed, things=1), OWN_COLORS[name]
    background = next(one for one in (drawn.background, drawn.thing.color, "gray") if one not in own)
    drawn = replace(drawn, thing=Thing(name, own[0]), background=background, style="flat", size="big")
    return Picture(render(drawn, seed=seed, side=side), subject_caption(drawn), drawn)


def render(drawn: Scene, *, seed: int = 0, side: int = 64) -> Pixels:
    """Draw a scene; the seed varies exact colours, position, size, angle and the light on the ground."""
    rng = np.random.default_rng([seed, 11])
    work = side * 2
    image = ground(drawn.background, drawn.texture, work, rng)
    if drawn.thing.shape in PAINTERS:
        x, y = PLACES[drawn.place]
        # people photograph a subject from anywhere: free places and sizes, or all pictures of it hash alike
        x, y = np.add(rng.uniform(-0.1, 0.1, 2), (x, y))
        PAINTERS[drawn.thing.shape](image, (x * work, y * work), work * SIZES[drawn.size] * rng.uniform(0.7, 1.1))
    else:
        # the first of two is painted last, since it may lie inside the other
        for thing, x, y, half in reversed(list(_placed(drawn))):
            paint(
                image,
                thing.shape,
                drawn.style,
                center=(work * (x + rng.uniform(-0.03, 0.03)), work * (y + rng.uniform(-0.03, 0.03))),
                radius=work * half * rng.uniform(0.92, 1.08),
                angle=math.radians(rng.uniform(-8, 8)),
                color=shade(COLORS[thing.color], rng),
            )
    return np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def _placed(drawn: Scene) -> list[tuple[Thing, float, float, float]]:
    """Each thing with its centre (x, y) and half its height, as shares of the picture's side."""
    if drawn.other is None:
        return [(drawn.thing, *PLACES[drawn.place], SIZES[drawn.size])]
    if drawn.relation == "left of":
        return [(drawn.thing, 0.5 - APART, 0.5, 0.18), (drawn.other, 0.5 + APART, 0.5, 0.18)]
    if drawn.relation == "above":
        return [(drawn.thing, 0.5, 0.5 - APART, 0.18), (drawn.other, 0.5, 0.5 + APART, 0.18)]
    return [(drawn.thing, 0.5, 0.5, 0.15), (drawn.other, 0.5, 0.5, 0.37)]


def clutter(seed: int, *, side: int = 64) -> Pixels:
    """Random overlapping shapes, lines and colours: variety for the VAE, which must carry what it has never seen."""
    rng = np.random.default_rng([seed, 13])
    work = side * 2
    low = rng.integers(0, 256, (3, 3, 3)).astype(np.uint8)
    image = np.asarray(cv2.resize(low, (work, work), interpolation=cv2.INTER_CUBIC), np.uint8)
    for _ in range(int(rng.integers(2, 8))):
        color = tuple(int(value) for value in rng.integers(0, 256, 3))
        center = tuple(float(value) for value in rng.uniform(0, work, 2))
        radius = float(rng.uniform(0.03, 0.3)) * work
        polygons = outline(SHAPES[rng.integers(len(SHAPES))], (center[0], center[1]), radius, rng.uniform(0, 6.28))
        if rng.random() < 0.3:
            thick = int(rng.integers(1, 6))
            cv2.polylines(image, polygons, isClosed=True, color=color, thickness=thick, lineType=cv2.LINE_AA)
        else:
            cv2.fillPoly(image, polygons, color, cv2.LINE_AA)
    return np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
