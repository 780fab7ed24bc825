"""The course of the learning rate, as a pure function of the step."""

import math

from pipeline.training.settings import TrainSettings


def factor(step: int, settings: TrainSettings) -> float:
    """Part of the peak learning rate, 0 to 1, that step `step` (from 0) takes.

    The same values as the schedules of diffusers.optimization: linear rise from 0 over the warm-up, then constant,
    linear to 0, or half a cosine to 0.
    """
    warmup, steps = settings.warmup_steps, settings.steps
    if step < warmup:
        return step / warmup
    done = (step - warmup) / max(1, steps - warmup)
    match settings.lr_schedule:
        case "constant":
            return 1.0
        case "linear":
            return max(0.0, 1.0 - done)
        case "cosine":
            return max(0.0, 0.5 * (1.0 + math.cos(math.pi * done)))
