"""How much pictures look like the subject's own, by CLIP: CLIP-I of DreamBooth (Ruiz et al. 2023, section 5.1)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.metrics._clip import Clip

DESCRIPTION = "How much pictures look like the training pictures: mean cosine of CLIP's pictures."
UNIT = "100 x cosine, -100 to 100"
HIGHER_IS_BETTER = True


def measure(
    pictures: Sequence[NDArray[np.uint8]],
    references: Sequence[NDArray[np.uint8]],
    *,
    clip: str,
    revision: str | None = None,
    device: str = "cpu",
) -> list[float]:
    """100 x mean cosine of each picture with all references; their mean is CLIP-I. One reference at least.

    Raises:
        ModelError: the CLIP is not there and cannot be had.
    """
    if not references:
        raise ValueError("no reference pictures")
    if not pictures:
        return []
    model = Clip(clip, revision=revision, device=device)
    cosines = model.pictures(pictures) @ model.pictures(references).T
    return [float(one) for one in 100 * cosines.mean(dim=1)]
