"""What the loss curves say: smoothed, relative to the base model, and where they are best."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean

from pipeline.reporting.record import StableLoss

Curve = tuple[tuple[int, float], ...]
"""(step, value), in order of steps."""

TOLERANCE = 0.01
"""How far above its lowest a held-out loss still counts as best, as a share: our choice, about the change that a
few dozen frozen triples can resolve."""


def smooth(points: Sequence[tuple[int, float]], *, span: float) -> Curve:
    """Exponential moving average over about `span` points, corrected for its start (Kingma and Ba 2015, section 3).

    Values that are not finite leave the average as it was and their points out.
    """
    keep = 1 - 2 / (span + 1)
    total = weight = 0.0
    smoothed = []
    for step, value in points:
        if math.isfinite(value):
            total, weight = keep * total + (1 - keep) * value, keep * weight + (1 - keep)
            smoothed.append((step, total / weight))
    return tuple(smoothed)


def by_timestep(rows: Sequence[StableLoss]) -> dict[int, dict[str, Curve]]:
    """Change of the stable loss since the first checkpoint (the base model), as a share: timestep -> split -> curve.

    Below 0 is better than the base model. Several rows of one checkpoint, split and timestep are averaged.
    """
    measured: dict[int, dict[str, dict[int, list[float]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for row in rows:
        if math.isfinite(row.loss):
            measured[row.timestep][row.split][row.step].append(row.loss)
    return {
        timestep: {split: _since_first(losses) for split, losses in sorted(splits.items())}
        for timestep, splits in sorted(measured.items())
    }


def overall(curves: Mapping[int, Mapping[str, Curve]]) -> dict[str, Curve]:
    """The mean change over the timesteps, split by split; each timestep counts alike, however large its loss is."""
    changes: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for splits in curves.values():
        for split, curve in splits.items():
            for step, change in curve:
                changes[split][step].append(change)
    return {split: tuple((step, fmean(at)) for step, at in sorted(steps.items())) for split, steps in changes.items()}


def best_range(curve: Curve) -> tuple[int, int, int]:
    """First, best and last step of the stretch around the lowest point that lies within `TOLERANCE` of it.

    Raises:
        ValueError: the curve is empty.
    """
    lowest = min(range(len(curve)), key=lambda index: curve[index][1])
    limit = curve[lowest][1] + TOLERANCE
    first = last = lowest
    while first > 0 and curve[first - 1][1] <= limit:
        first -= 1
    while last + 1 < len(curve) and curve[last + 1][1] <= limit:
        last += 1
    return curve[first][0], curve[lowest][0], curve[last][0]


def _since_first(losses: Mapping[int, list[float]]) -> Curve:
    means = [(step, fmean(values)) for step, values in sorted(losses.items())]
    base = means[0][1]
    return tuple((step, loss / base - 1 if base else 0.0) for step, loss in means)
