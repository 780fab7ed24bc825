"""Whether a difference is more than chance: an interval over pairs."""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 9999


@dataclass(frozen=True)
class Interval:
    """Mean of after - before, and its 95 % interval; no interval where there are fewer than two groups."""

    difference: float
    low: float | None
    high: float | None

    @property
    def distinguishable(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def paired(
    before: Sequence[float], after: Sequence[float], *, groups: Sequence[Hashable] | None = None, seed: int = 0
) -> Interval:
    """Compare pairs by a percentile bootstrap of their mean difference (Efron & Tibshirani 1993, chapter 13).

    Pairs of one group (such as one picture at several timesteps) are not independent: a group counts once, by its
    mean, and groups are what is drawn. Without groups every pair is its own. The same seed gives the same interval.
    """
    if len(before) != len(after) or not before:
        raise ValueError(f"{len(before)} values before, {len(after)} after")
    differences: dict[Hashable, list[float]] = defaultdict(list)
    for group, old, new in zip(groups or range(len(before)), before, after, strict=True):
        differences[group].append(new - old)
    means = np.array([np.mean(one) for one in differences.values()])
    mean = float(means.mean())
    if len(means) < 2:
        return Interval(mean, None, None)
    # as scipy.stats.bootstrap does it, which takes a second and a half to import
    drawn = np.random.default_rng(seed).integers(0, len(means), (RESAMPLES, len(means)))
    low, high = np.percentile(means[drawn].mean(axis=1), (2.5, 97.5))
    return Interval(mean, float(low), float(high))
