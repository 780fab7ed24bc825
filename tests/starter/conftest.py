"""The colours of a drawn picture, read off its pixels by arithmetic alone."""

from collections import Counter

import numpy as np
import pytest

from pipeline.starter.scene import COLORS


def nearest_colors(colors):
    """The named colour nearest to each RGB triple of N x 3, by Euclidean distance."""
    apart = np.linalg.norm(np.asarray(colors, float)[:, None] - np.array(list(COLORS.values()), float), axis=2)
    return [list(COLORS)[place] for place in apart.argmin(axis=1)]


def seen_colors(pixels):
    """Names of the ground's colour (the border's mean) and of the other colours, those with most pixels first.

    Pixels within 60 (RGB distance) of the border's mean belong to the ground.
    """
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]).astype(float)
    ground = border.mean(axis=0)
    inner = pixels.reshape(-1, 3).astype(float)
    other = inner[np.linalg.norm(inner - ground, axis=1) > 60]
    named = Counter(nearest_colors(other)) if len(other) else Counter()
    return nearest_colors(ground[None])[0], [name for name, _ in named.most_common()]


@pytest.fixture(scope="session")
def nearest():
    return nearest_colors


@pytest.fixture(scope="session")
def seen():
    return seen_colors
