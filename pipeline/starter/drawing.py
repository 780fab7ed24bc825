"""How shapes come onto a canvas: their outlines, four styles, and two that are kept out of the starter's training."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""A picture: height x width x 3, RGB, 0 to 255."""
Color = tuple[int, int, int]
INK, PAPER = (26, 26, 28), (244, 244, 244)


def shade(color: Color, rng: np.random.Generator) -> Color:
    """A colour a little off, by up to 8 a channel."""
    red, green, blue = np.clip(np.add(color, rng.uniform(-8, 8, 3)), 0, 255).astype(int).tolist()
    return red, green, blue


def paint(
    image: Pixels, shape: str, style: str, *, center: tuple[float, float], radius: float, angle: float, color: Color
) -> None:
    """Paint a shape into the picture: half-height `radius` px around `center` (x, y), turned by `angle` radians."""
    polygons = outline(shape, center, radius, angle)
    if style == "chalk":
        _chalk(image, polygons, color)
        return
    if style == "shadowed":
        _shadow(image, [points + max(2, round(radius / 5)) for points in polygons])
    if style == "mosaic":
        _mosaic(image, polygons, color)
        return
    cv2.fillPoly(image, polygons, color, cv2.LINE_AA)
    if style == "outlined":
        _line(image, polygons, INK if sum(color) > 200 else PAPER)
    elif style == "shaded":
        _light(image, polygons, middle=center[1], radius=radius)


def outline(shape: str, center: tuple[float, float], radius: float, angle: float) -> list[NDArray[np.int32]]:
    """Polygons (even-odd filled) of a shape of half-height `radius` around `center`, turned by `angle` radians."""
    return [np.round(_turn(points, angle) * radius + np.asarray(center)).astype(np.int32) for points in _UNIT[shape]]


def _line(image: Pixels, polygons: list[NDArray[np.int32]], color: Color) -> None:
    cv2.polylines(image, polygons, isClosed=True, color=color, thickness=max(2, len(image) // 42), lineType=cv2.LINE_AA)


def _mask(image: Pixels, polygons: list[NDArray[np.int32]]) -> Pixels:
    mask = np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(mask, polygons, 255, cv2.LINE_AA)
    return mask


def _chalk(image: Pixels, polygons: list[NDArray[np.int32]], color: Color) -> None:
    """Hatched, with an edge."""
    stripes = (np.add.outer(np.arange(len(image)), np.arange(len(image))) // 3) % 3 == 0
    image[(_mask(image, polygons) > 127) & stripes] = color
    _line(image, polygons, color)


def _mosaic(image: Pixels, polygons: list[NDArray[np.int32]], color: Color) -> None:
    """Of square tiles with gaps."""
    tile = max(3, len(image) // 18)
    coarse = cv2.resize(_mask(image, polygons), None, fx=1 / tile, fy=1 / tile, interpolation=cv2.INTER_AREA)
    side = len(coarse) * tile
    tiles = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_NEAREST)[: len(image), : len(image)] > 96
    tiles = np.pad(tiles, ((0, len(image) - len(tiles)), (0, len(image) - len(tiles))))
    at = np.arange(len(image)) % tile == 0
    image[tiles & ~(at[:, None] | at[None, :])] = color


def _shadow(image: Pixels, polygons: list[NDArray[np.int32]]) -> None:
    share = _mask(image, polygons)[:, :, None].astype(np.float32) / 255 * 0.55
    image[:] = (image * (1 - share)).astype(np.uint8)


def _light(image: Pixels, polygons: list[NDArray[np.int32]], *, middle: float, radius: float) -> None:
    """Lighter at the top of the shape, darker at its bottom."""
    share = _mask(image, polygons)[:, :, None].astype(np.float32) / 255
    rows = (np.arange(len(image), dtype=np.float32) - middle) / radius
    lit = image * (1 - 0.22 * rows)[:, None, None]
    image[:] = np.clip(lit * share + image * (1 - share), 0, 255).astype(np.uint8)


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


def _moon() -> NDArray[np.float64]:
    """A disc less a disc beside it."""
    outer = np.linspace(math.radians(40), math.radians(320), 40)
    inner = np.linspace(math.radians(293), math.radians(67), 30)
    bite = np.stack([np.cos(inner) * 0.7 + 0.5, np.sin(inner) * 0.7], axis=1)
    disc = np.stack([np.cos(outer), np.sin(outer)], axis=1)
    return np.asarray(np.concatenate([disc, bite]) + np.array([0.15, 0.0]), np.float64)


def _flower() -> NDArray[np.float64]:
    turns = np.linspace(0, 2 * math.pi, 60, endpoint=False)
    return np.stack([np.sin(turns), -np.cos(turns)], axis=1) * (0.7 + 0.3 * np.cos(5 * turns))[:, None]


def _points(*pairs: tuple[float, float]) -> NDArray[np.float64]:
    return np.array(pairs, np.float64)


_ARM = 0.36
_UNIT: dict[str, list[NDArray[np.float64]]] = {
    "circle": [_round()],
    "square": [_points((-0.88, -0.88), (0.88, -0.88), (0.88, 0.88), (-0.88, 0.88))],
    "triangle": [_points((0.0, -1.0), (1.0, 0.85), (-1.0, 0.85))],
    "star": [_star()],
    "heart": [_heart()],
    "cross": [
        _points(
            *((-_ARM, -1), (_ARM, -1), (_ARM, -_ARM), (1, -_ARM), (1, _ARM), (_ARM, _ARM)),
            *((_ARM, 1), (-_ARM, 1), (-_ARM, _ARM), (-1, _ARM), (-1, -_ARM), (-_ARM, -_ARM)),
        )
    ],
    "ring": [_round(), _round(0.5)],
    "diamond": [_points((0.0, -1.0), (0.72, 0.0), (0.0, 1.0), (-0.72, 0.0))],
    "moon": [_moon()],
    "arrow": [_points((1, 0), (0.2, -0.8), (0.2, -0.3), (-1, -0.3), (-1, 0.3), (0.2, 0.3), (0.2, 0.8))],
    "flower": [_flower(), _round(0.22)],
    "bolt": [_points((0.25, -1), (-0.6, 0.15), (-0.05, 0.15), (-0.3, 1), (0.6, -0.25), (0.05, -0.25), (0.5, -1))],
}
"""Corners of each shape's polygons; x to the right, y down, about -1 to 1."""
