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
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""A picture: height x width x 3, RGB, 0 to 255."""

COLORS: dict[str, tuple[int, int, int]] = {
    "red": (214, 40, 40),
    "orange": (244, 140, 24),
    "yellow": (250, 222, 60),
    "green": (44, 150, 66),
    "cyan": (84, 208, 214),
    "blue": (38, 70, 196),
    "purple": (124, 48, 160),
    "pink": (246, 150, 194),
    "white": (244, 244, 244),
    "black": (26, 26, 28),
}
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
    return Picture(
        render(drawn, seed=seed, side=side), f"a {name}{where} on a {drawn.background} background", drawn
    )


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
    thing = f"{drawn.size} {style}{drawn.color} {drawn.shape}"
    article = "an" if thing[0] in "aeiou" else "a"
    ground = f"{'an' if drawn.background[0] in 'aeiou' else 'a'} {drawn.background} background"
    wordings = (
        f"{article} {thing} {drawn.place} on {ground}",
        f"{article} {thing} {drawn.place} on {ground}",
        f"a photo of {article} {thing} {drawn.place} on {ground}",
        f"{article} {thing} on {ground}, {drawn.place}",
    )
    return wordings[int(rng.integers(len(wordings)))]


def plain_caption(drawn: Scene) -> str:
    """What the scene shows, in the one wording that the starter's captioner learns."""
    style = "" if drawn.style == "flat" else f"{drawn.style} "
    thing = f"{drawn.size} {style}{drawn.color} {drawn.shape}"
    return f"a {thing} {drawn.place} on {'an' if drawn.background[0] in 'aeiou' else 'a'} {drawn.background} background"


def render(drawn: Scene, *, seed: int = 0, side: int = 64) -> Pixels:
    """Draw a scene; the seed varies exact colours, position, size, angle and the light on the ground."""
    rng = np.random.default_rng([seed, 11])
    work = side * 2
    ground = _shade(COLORS[drawn.background], rng)
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
        across, down = rng.uniform(-0.1, 0.1, 2) * work
        size = radius * rng.uniform(0.55, 0.95)
        _SUBJECT_PAINTERS[drawn.shape](image, (center[0] + across, center[1] + down), size)
    else:
        _paint(image, drawn, center, radius, angle, _shade(COLORS[drawn.color], rng))
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
        outline = _outline(str(rng.choice(SHAPES)), (center[0], center[1]), radius, rng.uniform(0, 6.28))
        if rng.random() < 0.3:
            cv2.polylines(image, outline, True, color, int(rng.integers(1, 6)), cv2.LINE_AA)
        else:
            cv2.fillPoly(image, outline, color, cv2.LINE_AA)
    return np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def _shade(color: tuple[int, int, int], rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = (int(np.clip(value + rng.uniform(-8, 8), 0, 255)) for value in color)
    return red, green, blue


def _paint(
    image: Pixels,
    drawn: Scene,
    center: tuple[float, float],
    radius: float,
    angle: float,
    color: tuple[int, int, int],
) -> None:
    outline = _outline(drawn.shape, center, radius, angle)
    if drawn.style == "chalk":
        mask = np.zeros(image.shape[:2], np.uint8)
        cv2.fillPoly(mask, outline, 255)
        stripes = (np.add.outer(np.arange(len(image)), np.arange(len(image))) // 3) % 3 == 0
        image[(mask > 0) & stripes] = color
        cv2.polylines(image, outline, True, color, max(2, len(image) // 42), cv2.LINE_AA)
        return
    cv2.fillPoly(image, outline, color, cv2.LINE_AA)
    if drawn.style == "outlined":
        edge = (26, 26, 28) if sum(color) > 200 else (244, 244, 244)
        cv2.polylines(image, outline, True, edge, max(2, len(image) // 42), cv2.LINE_AA)
    elif drawn.style == "shaded":
        mask = np.zeros(image.shape[:2], np.uint8)
        cv2.fillPoly(mask, outline, 255, cv2.LINE_AA)
        rows = (np.arange(len(image), dtype=np.float32) - center[1]) / (2 * radius)
        lit = image * (1.0 - 0.5 * rows)[:, None, None]
        share = mask[:, :, None].astype(np.float32) / 255
        image[:] = np.clip(lit * share + image * (1 - share), 0, 255).astype(np.uint8)


def _outline(shape: str, center: tuple[float, float], radius: float, angle: float) -> list[NDArray[np.int32]]:
    """Polygons (even-odd filled) of a shape of half-height `radius` around `center`, turned by `angle` radians."""
    return [
        np.round(_turn(points, angle) * radius + np.asarray(center)).astype(np.int32) for points in _UNIT[shape]
    ]


def _turn(points: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    cos, sin = math.cos(angle), math.sin(angle)
    return points @ np.array([[cos, sin], [-sin, cos]])


def _round(radius: float = 1.0, corners: int = 40) -> NDArray[np.float64]:
    turns = np.linspace(0, 2 * math.pi, corners, endpoint=False)
    return np.stack([np.sin(turns), -np.cos(turns)], axis=1) * radius


def _star() -> NDArray[np.float64]:
    points = _round(corners=10)
    points[1::2] *= 0.45
    return points


def _heart() -> NDArray[np.float64]:
    turns = np.linspace(0, 2 * math.pi, 48, endpoint=False)
    across = 16 * np.sin(turns) ** 3
    down = 13 * np.cos(turns) - 5 * np.cos(2 * turns) - 2 * np.cos(3 * turns) - np.cos(4 * turns)
    return np.stack([across, -down - 2], axis=1) / 16


_ARM = 0.36
_UNIT: dict[str, list[NDArray[np.float64]]] = {
    "circle": [_round()],
    "square": [np.array([[-0.88, -0.88], [0.88, -0.88], [0.88, 0.88], [-0.88, 0.88]])],
    "triangle": [np.array([[0.0, -1.0], [1.0, 0.85], [-1.0, 0.85]])],
    "star": [_star()],
    "heart": [_heart()],
    "cross": [
        np.array(
            [
                [-_ARM, -1], [_ARM, -1], [_ARM, -_ARM], [1, -_ARM], [1, _ARM], [_ARM, _ARM],
                [_ARM, 1], [-_ARM, 1], [-_ARM, _ARM], [-1, _ARM], [-1, -_ARM], [-_ARM, -_ARM],
            ]
        )
    ],
    "ring": [_round(), _round(0.5)],
    "diamond": [np.array([[0.0, -1.0], [0.72, 0.0], [0.0, 1.0], [-0.72, 0.0]])],
}  # fmt: skip


def _box(image: Pixels, center: tuple[float, float], radius: float, box: tuple[float, ...], color: str) -> None:
    left, top, right, bottom = (value * radius for value in box)
    start = (round(center[0] + left), round(center[1] + top))
    cv2.rectangle(image, start, (round(center[0] + right), round(center[1] + bottom)), COLORS[color], -1)


def _disc(
    image: Pixels, center: tuple[float, float], radius: float, at: tuple[float, float], size: float, color: str
) -> None:
    middle = (round(center[0] + at[0] * radius), round(center[1] + at[1] * radius))
    cv2.circle(image, middle, round(size * radius), COLORS[color], -1, cv2.LINE_AA)


def _robot(image: Pixels, center: tuple[float, float], radius: float) -> None:
    _box(image, center, radius, (-0.06, -1.1, 0.06, -0.7), "black")
    _disc(image, center, radius, (0, -1.1), 0.15, "red")
    _box(image, center, radius, (-0.62, -0.78, 0.62, 0.1), "cyan")
    _disc(image, center, radius, (-0.28, -0.38), 0.19, "yellow")
    _disc(image, center, radius, (0.28, -0.38), 0.19, "yellow")
    _box(image, center, radius, (-0.34, -0.12, 0.34, -0.02), "black")
    _box(image, center, radius, (-0.45, 0.16, 0.45, 0.75), "purple")
    _box(image, center, radius, (-0.8, 0.2, -0.55, 0.65), "black")
    _box(image, center, radius, (0.55, 0.2, 0.8, 0.65), "black")
    _box(image, center, radius, (-0.38, 0.78, -0.12, 1.1), "black")
    _box(image, center, radius, (0.12, 0.78, 0.38, 1.1), "black")


def _snail(image: Pixels, center: tuple[float, float], radius: float) -> None:
    _box(image, center, radius, (-1.0, 0.5, 1.0, 0.85), "yellow")
    _box(image, center, radius, (0.75, -0.3, 0.95, 0.6), "yellow")
    _disc(image, center, radius, (0.85, -0.35), 0.16, "black")
    for size, color in ((0.75, "orange"), (0.52, "white"), (0.32, "orange"), (0.13, "white")):
        _disc(image, center, radius, (-0.2, 0.0), size, color)


def _lighthouse(image: Pixels, center: tuple[float, float], radius: float) -> None:
    for row, color in enumerate(("white", "red", "white", "red")):
        _box(image, center, radius, (-0.4, -0.4 + row * 0.38, 0.4, -0.02 + row * 0.38), color)
    _box(image, center, radius, (-0.5, -0.5, 0.5, -0.4), "black")
    _box(image, center, radius, (-0.26, -0.85, 0.26, -0.5), "yellow")
    _box(image, center, radius, (-0.34, -1.05, 0.34, -0.85), "black")


_SUBJECT_PAINTERS = {"robot": _robot, "snail": _snail, "lighthouse": _lighthouse}
