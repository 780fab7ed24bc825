"""How shapes and subjects come onto a canvas: outlines, three styles and one kept out, and painters of subjects."""

import math
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""A picture: height x width x 3, RGB, 0 to 255."""
Color = tuple[int, int, int]

COLORS: dict[str, Color] = {
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


def shade(color: Color, rng: np.random.Generator) -> Color:
    """A colour a little off, by up to 8 a channel."""
    red, green, blue = (int(np.clip(value + rng.uniform(-8, 8), 0, 255)) for value in color)
    return red, green, blue


def paint(
    image: Pixels, shape: str, style: str, *, center: tuple[float, float], radius: float, angle: float, color: Color
) -> None:
    """Paint a shape into the picture: half-height `radius` px around `center` (x, y), turned by `angle` radians."""
    polygons = outline(shape, center, radius, angle)
    if style == "chalk":
        mask = np.zeros(image.shape[:2], np.uint8)
        cv2.fillPoly(mask, polygons, 255)
        stripes = (np.add.outer(np.arange(len(image)), np.arange(len(image))) // 3) % 3 == 0
        image[(mask > 0) & stripes] = color
        cv2.polylines(
            image, polygons, isClosed=True, color=color, thickness=max(2, len(image) // 42), lineType=cv2.LINE_AA
        )
        return
    cv2.fillPoly(image, polygons, color, cv2.LINE_AA)
    if style == "outlined":
        edge = (26, 26, 28) if sum(color) > 200 else (244, 244, 244)
        cv2.polylines(
            image, polygons, isClosed=True, color=edge, thickness=max(2, len(image) // 42), lineType=cv2.LINE_AA
        )
    elif style == "shaded":
        mask = np.zeros(image.shape[:2], np.uint8)
        cv2.fillPoly(mask, polygons, 255, cv2.LINE_AA)
        rows = (np.arange(len(image), dtype=np.float32) - center[1]) / (2 * radius)
        lit = image * (1.0 - 0.5 * rows)[:, None, None]
        share = mask[:, :, None].astype(np.float32) / 255
        image[:] = np.clip(lit * share + image * (1 - share), 0, 255).astype(np.uint8)


def outline(shape: str, center: tuple[float, float], radius: float, angle: float) -> list[NDArray[np.int32]]:
    """Polygons (even-odd filled) of a shape of half-height `radius` around `center`, turned by `angle` radians."""
    return [np.round(_turn(points, angle) * radius + np.asarray(center)).astype(np.int32) for points in _UNIT[shape]]


def _turn(points: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    cos, sin = math.cos(angle), math.sin(angle)
    return np.asarray(points @ np.array([[cos, sin], [-sin, cos]]), np.float64)


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


SUBJECT_PAINTERS: dict[str, Callable[[Pixels, tuple[float, float], float], None]] = {
    "robot": _robot,
    "snail": _snail,
    "lighthouse": _lighthouse,
}
