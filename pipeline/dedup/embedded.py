"""Pictures that show the same to CLIP: all pairs of directions whose cosine reaches a limit, in bounded memory."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.dedup.links import Link, Linked

_ROWS, _COLUMNS = 1024, 8192
"""Pictures that are held against each other at a time: 32 MiB of cosines."""
_SLACK = 1e-4
"""How far a product of float32 may be off; what is so near the limit is computed again, in float64."""
_DIGITS = 6
"""To which a cosine is rounded, so that it does not hang on the order in which it was summed."""


def pairs(names: Sequence[str], vectors: NDArray[np.float32], similarity: float) -> Iterator[Linked]:
    """Pictures whose directions have a cosine of at least `similarity`, each pair once.

    Args:
        names: pixel ids, N.
        vectors: unit vectors, N x dimensions.
        similarity: least cosine, -1 to 1.
    """
    for top in range(0, len(vectors), _ROWS):
        for left in range(0, top + _ROWS, _COLUMNS):
            columns = vectors[left : min(left + _COLUMNS, top + _ROWS)]
            one, other = np.nonzero(vectors[top : top + _ROWS] @ columns.T >= similarity - _SLACK)
            one, other = one + top, other + left
            one, other = one[other < one], other[other < one]
            for first, second, cosine in zip(one.tolist(), other.tolist(), _cosines(vectors, one, other), strict=True):
                if cosine >= similarity:
                    a, b = sorted((names[first], names[second]))
                    yield a, b, Link(2, 1 - cosine, "shows the same", f"{cosine:.4g}", f"{similarity:.4g}")


def _cosines(vectors: NDArray[np.float32], one: NDArray[np.int64], other: NDArray[np.int64]) -> list[float]:
    """Of pairs of vectors, each by itself."""
    found: list[float] = []
    for begin in range(0, len(one), _COLUMNS):
        some = slice(begin, begin + _COLUMNS)
        a, b = (vectors[places[some]].astype(np.float64) for places in (one, other))
        found += np.einsum("nd,nd->n", a, b).round(_DIGITS).tolist()
    return found
