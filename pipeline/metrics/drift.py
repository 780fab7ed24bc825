"""How far a training moved what it was not about: pictures of general prompts, before and after, as CLIP sees them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.metrics._clip import Clip

DESCRIPTION = "How far pictures of general prompts moved from the base model's: cosine distance of CLIP's pictures."
UNIT = "100 x (1 - cosine), 0 to 200"
HIGHER_IS_BETTER = False


def measure(
    pictures: Sequence[NDArray[np.uint8]],
    before: Sequence[NDArray[np.uint8]],
    *,
    clip: str,
    revision: str | None = None,
    device: str = "cpu",
) -> list[float]:
    """The distance of each picture and the base model's of the same prompt and seed; 0 is no drift.

    Raises:
        ModelError: the CLIP is not there and cannot be had.
    """
    if len(pictures) != len(before):
        raise ValueError(f"{len(pictures)} pictures, {len(before)} of the base model")
    if not pictures:
        return []
    model = Clip(clip, revision=revision, device=device)
    cosines = (model.pictures(pictures) * model.pictures(before)).sum(dim=1)
    return [float(one) for one in 100 * (1 - cosines).clamp(min=0)]
