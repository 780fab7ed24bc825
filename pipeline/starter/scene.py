"""What a drawn picture shows, chosen by a seed: one thing or two, where, in which style, before which ground.

One in ten scenes is *held out*: no starter model ever trains on it. Which one is decided by what it shows, never by
its seed, so that a scene held out for one model is held out for all.
"""

import hashlib
from dataclasses import dataclass

import numpy as np

SHAPES = (
    "circle",
    "square",
    "triangle",
    "star",
    "heart",
    "cross",
    "ring",
    "diamond",
    "moon",
    "arrow",
    "flower",
    "bolt",
)
COLORS: dict[str, tuple[int, int, int]] = {
    "red": (214, 40, 40),
    "orange": (244, 140, 24),
    "yellow": (250, 222, 60),
    "green": (44, 150, 66),
    "cyan": (84, 208, 214),
    "blue": (38, 70, 196),
    "purple": (124, 48, 160),
    "pink": (246, 150, 194),
    "brown": (104, 58, 26),
    "gray": (136, 136, 136),
    "white": (244, 244, 244),
    "black": (26, 26, 28),
}
"""Name and RGB."""
SIZES: dict[str, float] = {"small": 0.17, "big": 0.30}
"""Half the height of a thing that is alone, as a share of the picture's side."""
PLACES: dict[str, tuple[float, float]] = {
    "in the middle": (0.5, 0.5),
    "on the left": (0.3, 0.5),
    "on the right": (0.7, 0.5),
    "at the top": (0.5, 0.3),
    "at the bottom": (0.5, 0.7),
}
"""Centre of a thing that is alone (x, y), as shares of the picture's side."""
TEXTURES = ("plain", "striped", "dotted", "checked", "graded", "speckled")
"""How the ground is filled, in shades of its one colour."""
STYLES = ("flat", "outlined", "shaded", "shadowed")
KEPT_OUT_STYLES = ("chalk", "mosaic")
"""Styles that no starter model has seen; for fine-tuning to learn."""
RELATIONS = ("left of", "above", "inside")
"""How the first thing of two stands to the second."""
ROOMY = ("circle", "square", "heart", "diamond")
"""Shapes wide enough to hold another."""


@dataclass(frozen=True)
class Thing:
    """A shape in a colour."""

    shape: str
    color: str


@dataclass(frozen=True)
class Scene:
    """What a picture shows: the truth that goes with it.

    A thing that is alone has a size and a place, and `other` and `relation` are None; of two, the first is `relation`
    the other, and `size` and `place` are empty.
    """

    thing: Thing
    size: str
    place: str
    background: str
    texture: str
    style: str
    other: Thing | None = None
    relation: str | None = None

    @property
    def things(self) -> tuple[Thing, ...]:
        """One thing or two."""
        return (self.thing,) if self.other is None else (self.thing, self.other)

    @property
    def held_out(self) -> bool:
        """Whether this combination of things, place or relation, and ground colour is kept from all training."""
        parts = [f"{one.shape}/{one.color}" for one in self.things]
        name = "/".join((*parts, self.relation or self.place, self.background))
        return hashlib.sha256(name.encode()).digest()[0] % 10 == 0


def scene(seed: int, *, held_out: bool | None = None, things: int | None = None) -> Scene:
    """The scene of a seed; with `held_out` or `things` (1 or 2), the seed's first that fits.

    Every third scene shows two things.
    """
    rng = np.random.default_rng(seed)
    while True:
        drawn = _draw(rng, things)
        if held_out is None or drawn.held_out is held_out:
            return drawn


def _draw(rng: np.random.Generator, things: int | None) -> Scene:
    first, second, third = _different(rng, len(COLORS), 3)
    colors = list(COLORS)
    style = STYLES[rng.integers(len(STYLES))]
    texture = "plain" if rng.random() < 0.5 else TEXTURES[rng.integers(1, len(TEXTURES))]
    shape, another = SHAPES[rng.integers(len(SHAPES))], SHAPES[rng.integers(len(SHAPES))]
    two = rng.random() < 1 / 3 if things is None else things == 2
    if not two:
        return Scene(
            Thing(shape, colors[first]),
            size=list(SIZES)[rng.integers(len(SIZES))],
            place=list(PLACES)[rng.integers(len(PLACES))],
            background=colors[third],
            texture=texture,
            style=style,
        )
    relation = RELATIONS[rng.integers(len(RELATIONS))]
    around = ROOMY[rng.integers(len(ROOMY))]
    return Scene(
        Thing(shape, colors[first]),
        size="",
        place="",
        background=colors[third],
        texture=texture,
        style=style,
        other=Thing(around if relation == "inside" else another, colors[second]),
        relation=relation,
    )


def _different(rng: np.random.Generator, among: int, count: int) -> list[int]:
    """`count` different numbers below `among`; numpy's own choice takes thirty times as long."""
    chosen: list[int] = []
    while len(chosen) < count:
        number = int(rng.integers(among))
        if number not in chosen:
            chosen.append(number)
    return chosen
