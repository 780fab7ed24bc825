"""Captioned pictures drawn from a seed: what the starter models learn from, and what the demo and the tests prepare.

A picture shows one thing of one colour, at one place, on a plain ground. The same seed always gives the same picture,
caption and truth. One in ten combinations of attributes is *held out*: no starter model ever trains on it.
Subjects and the chalk style are kept out altogether, so that fine-tuning has something to teach.
"""

import hashlib
import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from pipeline.starter.drawing import COLORS, SUBJECT_PAINTERS, Pixels, outline, paint, shade

SHAPES = ("circle", "square", "triangle", "star", "heart", "cross", "ring", "diamond")
SIZES: dict[str, float] = {"small": 0.17, "big": 0.30}
"""Half the height of the thing, as a share of the picture's side."""
PLACES: dict[str, tuple[float, float]] = {
    "in the middle": (0.5, 0.5),
    "on the left": (0.3, 0.5),
    "on the right": (0.7, 0.5),
    "at the top": (0.5, 0.3),
    "at the bottom": (0.5, 0.7),
}
"""Centre of the thing (x, y), as shares of the picture's side."""
STYLES = ("flat", "outlined", "shaded")
KEPT_OUT_STYLES = ("chalk",)
SUBJECTS = ("robot", "snail", "lighthouse")
"""Things that no starter model has seen; for DreamBooth, LoRA and textual inversion to learn."""


@dataclass(frozen=True)
class Scene:
    """What a picture shows: the truth that goes with it."""

    shape: str
    color: str
    size: str
    place: str
    background: str
    style: str

    @property
    def held_out(self) -> bool:
        """Whether this combination of shape, colour, place and ground is kept from the starter models' training."""
        name = "/".join((self.shape, self.color, self.place, self.background))
        return hashlib.sha256(name.encode()).digest()[0] % 10 == 0


@dataclass(frozen=True)
class Picture:
    """One drawn picture with its caption and its truth."""

    pixels: Pixels
    caption: str
    scene: Scene


def scene(seed: int, *, held_out: bool | None = None) -> Scene:
    """The scene of a seed; with `held_out`, the first one from this seed on that is (or is not) held out."""
    rng = np.random.default_rng(seed)
    while True:
        color, background = rng.choice(list(COLORS), size=2, replace=False)
        drawn = Scene(
            shape=str(rng.choice(SHAPES)),
            color=str(color),
            size=str(rng.choice(list(SIZES))),
            place=str(rng.choice(list(PLACES))),
            background=str(background),
            style=str(rng.choice(STYLES)),
        )
        if held_out is None or drawn.held_out is held_out:
            return drawn


def picture(seed: int, *, side: int = 64, held_out: bool | None = None) -> Picture:
    """The picture of a seed, `side` x `side` pixels, with one of the ways to say what it shows."""
    drawn = scene(seed, held_out=held_out)
    return Picture(render(drawn, seed=seed, side=side), caption(drawn, seed=seed), drawn)


def subject(name: str, seed: int, *, side: int = 64) -> Picture:
    """A kept-out subject in a scene of this seed; its caption names the class and the ground."""
    drawn = replace(scene(seed), shape=name, style="flat", size="big")
    where = "" if drawn.place == "in the middle" else f" {drawn.place}"
    return Picture(render(drawn, seed=seed, side=side), f"a {name}{where} on {an(drawn.background)} background", drawn)


def with_strange_prefix(text: str, seed: int) -> str:
    """The caption behind a made-up word or two, as a trigger and its class stand before a caption's body.

    A fifth of the captions that the starter models learn from look so, that they take strangers in their stride.
    """
    rng = np.random.default_rng([seed, 17])
    if rng.random() >= 0.2:
        return text
    words = ("".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), int(length))) for length in rng.integers(3, 8, 2))
    return f"a {' '.join(words)}, {text}"


def caption(drawn: Scene, *, seed: int = 0) -> str:
    """What the scene shows, in one of several wordings chosen by the seed."""
    rng = np.random.default_rng([seed, 7])
    style = "" if drawn.style == "flat" else f"{drawn.style} "
    thing = an(f"{drawn.size} {style}{drawn.color} {drawn.shape}")
    ground = f"{an(drawn.background)} background"
    wordings = (
        f"{thing} {drawn.place} on {ground}",
        f"{thing} {drawn.place} on {ground}",
        f"a photo of {thing} {drawn.place} on {ground}",
        f"{thing} on {ground}, {drawn.place}",
    )
    return wordings[int(rng.integers(len(wordings)))]


def plain_caption(drawn: Scene) -> str:
    """What the scene shows, in the one wording that the starter's captioner learns."""
    style = "" if drawn.style == "flat" else f"{drawn.style} "
    thing = an(f"{drawn.size} {style}{drawn.color} {drawn.shape}")
    return f"{thing} {drawn.place} on {an(drawn.background)} background"


def an(words: str) -> str:
    """The words behind the article that their first letter asks for: an orange thing, a blue one."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def render(drawn: Scene, *, seed: int = 0, side: int = 64) -> Pixels:
    """Draw a scene; the seed varies exact colours, position, size, angle and the light on the ground."""
    rng = np.random.default_rng([seed, 11])
    work = side * 2
    ground = shade(COLORS[drawn.background], rng)
    canvas = np.empty((work, work, 3), np.float32)
    canvas[:] = ground
    canvas += (np.linspace(-1, 1, work, dtype=np.float32) * rng.uniform(-8, 8))[:, None, None]
    np.clip(canvas, 0, 255, out=canvas)
    x, y = PLACES[drawn.place]
    center = (work * (x + rng.uniform(-0.03, 0.03)), work * (y + rng.uniform(-0.03, 0.03)))
    radius = work * SIZES[drawn.size] * rng.uniform(0.92, 1.08)
    angle = math.radians(rng.uniform(-8, 8))
    image = canvas.astype(np.uint8)
    if drawn.shape in SUBJECTS:
        # people photograph a subject from anywhere: free places and sizes, or all pictures of it hash alike
        across, down = rng.uniform(-0.08, 0.08, 2) * work
        size = radius * rng.uniform(0.75, 1.05)
        SUBJECT_PAINTERS[drawn.shape](image, (center[0] + across, center[1] + down), size)
    else:
        color = shade(COLORS[drawn.color], rng)
        paint(image, drawn.shape, drawn.style, center=center, radius=radius, angle=angle, color=color)
    return np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


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
        polygons = outline(str(rng.choice(SHAPES)), (center[0], center[1]), radius, rng.uniform(0, 6.28))
        if rng.random() < 0.3:
            thick = int(rng.integers(1, 6))
            cv2.polylines(image, polygons, isClosed=True, color=color, thickness=thick, lineType=cv2.LINE_AA)
        else:
            cv2.fillPoly(image, polygons, color, cv2.LINE_AA)
    return np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
