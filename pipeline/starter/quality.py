"""Measures what the starter's UNet paints, with a judge that has learned from nothing but drawn pictures."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers import DiffusionPipeline

from pipeline import models
from pipeline.starter import judge, pictures, scene, wording
from pipeline.starter.drawing import Pixels
from pipeline.starter.judge import Judge
from pipeline.starter.scene import Scene

STEPS, GUIDANCE = 20, 5.0
BATCH = 25
"""Pictures that are painted at a time."""
SEEDS = {1: 40_000_000, 2: 45_000_000}
"""Where the held-out prompts begin, by the number of things."""
ALONE = ("shape", "color", "size", "place", "background")
"""What is asked of a picture of one thing."""


def painted(model: Path, seer: Judge, *, count: int = 200) -> dict[str, float]:
    """Share of held-out prompts that the painted picture fulfils as the judge sees it, `count` of one thing and of two.

    Of one thing: `shape`, `color`, `size`, `place` and `background`; of two: `both_colors`.
    """
    pipe = models.load_pipeline(str(model))
    asked = [held_out(things, count) for things in SEEDS]
    return right([(scenes, seer.look(paint(pipe, scenes))) for scenes in asked])


def judged(seer: Judge, *, count: int = 500) -> dict[str, float]:
    """The same shares of the pictures that the generator draws: what a flawless painter would be credited with."""
    asked = [held_out(things, count) for things in SEEDS]
    drawn = [[pictures.render(one, seed=at) for at, one in enumerate(scenes)] for scenes in asked]
    return right([(scenes, seer.look(shown)) for scenes, shown in zip(asked, drawn, strict=True)])


def held_out(things: int, count: int) -> list[Scene]:
    """Scenes of one thing or two that no starter model has trained on."""
    return [scene.scene(SEEDS[things] + at, held_out=True, things=things) for at in range(count)]


def right(seen: Sequence[tuple[Sequence[Scene], Sequence[dict[str, str]]]]) -> dict[str, float]:
    """Share of right answers: scenes of one thing with what was seen in their pictures, then those of two."""
    alone, both = ([(judge.truth(one), said) for one, said in zip(*some, strict=True)] for some in seen)
    shares = {name: float(np.mean([truth[name] == said[name] for truth, said in alone])) for name in ALONE}
    colors = [all(truth[name] == said[name] for name in ("color", "other_color")) for truth, said in both]
    return shares | {"both_colors": float(np.mean(colors))}


def paint(pipe: DiffusionPipeline, scenes: Sequence[Scene]) -> list[Pixels]:
    """A picture of 64 x 64 px for each scene, from its caption alone; the same each time."""
    return paint_prompts(pipe, [wording.caption(one, seed=at) for at, one in enumerate(scenes)])


@torch.no_grad()
def paint_prompts(pipe: DiffusionPipeline, prompts: Sequence[str]) -> list[Pixels]:
    """A picture of 64 x 64 px for each prompt, with the prompt's place in the list as its seed."""
    made: list[Pixels] = []
    for start in range(0, len(prompts), BATCH):
        part = prompts[start : start + BATCH]
        images = pipe(
            list(part),
            height=64,
            width=64,
            num_inference_steps=STEPS,
            guidance_scale=GUIDANCE,
            generator=[torch.Generator().manual_seed(start + at) for at in range(len(part))],
            output_type="np",
        ).images
        made += list((images * 255).round().astype(np.uint8))
    return made
