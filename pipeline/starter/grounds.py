"""Grounds of drawn pictures: one colour, plain or in a texture of its shades."""

import numpy as np

from pipeline.starter.drawing import Pixels, shade
from pipeline.starter.scene import COLORS

CONTRAST = 34
"""Levels of 255 between a texture's two shades."""


def ground(color: str, texture: str, side: int, rng: np.random.Generator) -> Pixels:
    """A ground of `side` x `side` pixels in a named colour and one of `scene.TEXTURES`, lit a little from one end."""
    base = shade(COLORS[color], rng)
    light = np.linspace(-1, 1, side, dtype=np.float32) * rng.uniform(-8, 8)
    canvas = np.empty((side, side, 3), np.float32)
    canvas[:] = base
    canvas += light[:, None, None]
    # towards the lighter or the darker shade, whichever there is room for
    step = CONTRAST if sum(base) < 3 * 128 else -CONTRAST
    if texture == "graded":
        canvas += (np.linspace(-1, 1, side, dtype=np.float32) * 1.2 * step)[None, :, None]
    elif texture == "speckled":
        canvas += rng.normal(0, CONTRAST / 2, (side, side, 1)).astype(np.float32)
    elif texture != "plain":
        canvas[_pattern(texture, side, rng)] += step
    return np.clip(canvas, 0, 255).astype(np.uint8)


def _pattern(texture: str, side: int, rng: np.random.Generator) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """Where the texture's second shade is."""
    period = side / rng.uniform(5, 7)
    rows, columns = np.indices((side, side), sparse=True)
    across, down = columns + rng.uniform(0, period), rows + rng.uniform(0, period)
    if texture == "striped":
        slope = rng.integers(-1, 2)
        mask = (across + slope * down) % period < period / 2
    elif texture == "checked":
        mask = (across % period < period / 2) ^ (down % period < period / 2)
    else:
        mask = np.hypot(across % period - period / 2, down % period - period / 2) < period * 0.3
    return np.asarray(np.broadcast_to(mask, (side, side)))
