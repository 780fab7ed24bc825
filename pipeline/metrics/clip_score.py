"""How well pictures show what their prompts say, by CLIP (Hessel et al. 2021)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.metrics._clip import Clip

DESCRIPTION = "How well pictures show what their prompts say: cosine of CLIP's picture and text."
UNIT = "100 x cosine, 0 to 100"
HIGHER_IS_BETTER = True


def measure(
    pictures: Sequence[NDArray[np.uint8]],
    prompts: Sequence[str],
    *,
    clip: str,
    revision: str | None = None,
    device: str = "cpu",
) -> list[float]:
    """100 x max(cosine, 0) of each picture (height x width x 3 bytes, RGB) and its prompt.

    Raises:
        ModelError: the CLIP is not there and cannot be had.
    """
    if len(pictures) != len(prompts):
        raise ValueError(f"{len(pictures)} pictures, {len(prompts)} prompts")
    if not pictures:
        return []
    model = Clip(clip, revision=revision, device=device)
    cosines = (model.pictures(pictures) * model.texts(prompts)).sum(dim=1)
    return [float(one) for one in 100 * cosines.clamp(min=0)]
