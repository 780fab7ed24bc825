"""Pictures from prompts, the same for the same seeds."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.batches import Batches

BATCH = 8
"""Pictures at a time, or fewer where memory does not hold so many."""
LARGE = 512
"""Pixels of a side from which on the VAE decodes one picture after the other, since it takes gigabytes for each."""


def sample(
    pipeline: Any,  # noqa: ANN401 - diffusers has no types
    pairs: Sequence[tuple[str, int]],
    *,
    steps: int = 25,
    guidance: float = 7.5,
    guidance_rescale: float = 0.0,
    negative_prompt: str = "",
    size: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,  # noqa: ARG005 (names say what comes)
    say: Callable[[str], None] = lambda words: None,  # noqa: ARG005
) -> list[NDArray[np.uint8]]:
    """One picture for each (prompt, seed), size x size x 3 bytes, RGB; `size` is in pixels, a multiple of 8.

    Every picture's noise comes from a CPU generator of its own seed, so that neither the device nor the other pictures
    change it (but for rounding). Without `size` it is the size that the model was made for. `guidance_rescale` (0 to 1)
    brings a guided answer's spread back to the unguided one's (Lin et al. 2023, section 3.4). `progress` is told how
    many of how many pictures are done, first of all none, and `say` where memory holds fewer at a time.

    Without a `negative_prompt` guidance leads away from what the model takes for no caption: an empty one, or zeros for
    SDXL (`force_zeros_for_empty_prompt`). SDXL is told that pictures of this very size were not cut.
    """
    done = 0
    if size is None or size >= LARGE:
        pipeline.vae.enable_slicing()

    def paint(part: Sequence[tuple[str, int]]) -> Sequence[NDArray[np.uint8]]:
        nonlocal done
        pictures = pipeline(
            [prompt for prompt, _ in part],
            negative_prompt=[negative_prompt] * len(part) if negative_prompt else None,
            generator=[torch.Generator().manual_seed(seed) for _, seed in part],
            num_inference_steps=steps,
            guidance_scale=guidance,
            guidance_rescale=guidance_rescale,
            height=size,
            width=size,
            output_type="np",
        ).images
        done += len(part)
        progress(done, len(pairs))
        return [np.round(one * 255).astype(np.uint8) for one in pictures]

    progress(0, len(pairs))
    return Batches(BATCH).each(pairs, lambda pair: pair, paint, say=say)
