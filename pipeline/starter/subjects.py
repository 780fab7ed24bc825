"""Painters of the kept-out subjects: things that no starter model has seen, for fine-tuning to learn."""

from collections.abc import Callable

import cv2

from pipeline.starter.drawing import Pixels
from pipeline.starter.scene import COLORS


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


PAINTERS: dict[str, Callable[[Pixels, tuple[float, float], float], None]] = {
    "robot": _robot,
    "snail": _snail,
    "lighthouse": _lighthouse,
}
OWN_COLORS: dict[str, tuple[str, ...]] = {
    "robot": ("cyan", "purple"),
    "snail": ("orange", "yellow"),
    "lighthouse": ("red", "white"),
}
"""Colours of a subject's main parts, the largest first: it is never drawn before a ground of one of them."""
