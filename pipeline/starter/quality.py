"""Measures what the starter's UNet paints, from pixels alone: is the ground, and is the thing, of the right colour?"""

from collections import Counter
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from numpy.typing import NDArray

from pipeline.starter import pictures
from pipeline.starter.drawing import Pixels
from pipeline.starter.scene import COLORS

STEPS, GUIDANCE = 20, 5.0


def nearest_colors(colors: NDArray[np.float64]) -> list[str]:
    """The named colour that is nearest to each RGB triple of N x 3, by Euclidean distance in RGB."""
    apart = np.linalg.norm(colors[:, None] - np.array(list(COLORS.values()), np.float64), axis=2)
    return [list(COLORS)[place] for place in apart.argmin(axis=1)]


def seen(pixels: Pixels) -> tuple[str, str | None]:
    """The colours of the ground (median of the border) and of the thing (most frequent other colour), by name.

    Pixels within 60 (RGB distance) of the ground belong to it; the thing needs at least 1 % of the picture. Black and
    white may be an outline: another colour with a third as many pixels goes before them.
    """
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]).astype(np.float64)
    ground = np.median(border, axis=0)
    inner = pixels.reshape(-1, 3).astype(np.float64)
    other = inner[np.linalg.norm(inner - ground, axis=1) > 60]
    (name,) = nearest_colors(ground[None])
    if len(other) < len(inner) / 100:
        return name, None
    named = Counter(nearest_colors(other))
    counted = {one: named[one] / (3 if one in ("black", "white") else 1) for one in sorted(set(named) - {name})}
    return name, max(counted, key=lambda one: counted[one]) if counted else None


@torch.no_grad()
def painted(model: Path, *, count: int = 100) -> dict[str, float]:
    """Share of held-out prompts whose picture has the right `background` and the right `color` of the thing."""
    pipe = StableDiffusionPipeline.from_pretrained(model, safety_checker=None).to(torch.float32)
    pipe.set_progress_bar_config(disable=True)
    scenes = [pictures.scene(40_000_000 + seed, held_out=True) for seed in range(count)]
    right: dict[str, list[bool]] = {"background": [], "color": []}
    for start in range(0, count, 25):
        part = scenes[start : start + 25]
        generators = [torch.Generator().manual_seed(start + place) for place in range(len(part))]
        made = pipe(
            [pictures.caption(one, seed=start + place) for place, one in enumerate(part)],
            height=64,
            width=64,
            num_inference_steps=STEPS,
            guidance_scale=GUIDANCE,
            generator=generators,
            output_type="np",
        ).images
        for one, image in zip(part, (made * 255).round().astype(np.uint8), strict=True):
            ground, thing = seen(image)
            right["background"].append(ground == one.background)
            right["color"].append(thing == one.color)
    return {name: float(np.mean(values)) for name, values in right.items()}
