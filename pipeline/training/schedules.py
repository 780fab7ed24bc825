"""The course of the learning rate, as a pure function of the step."""

import math

from pipeline.training.settings import TrainSettings


def factor(step: int, settings: TrainSettings) -> float:
    """Part of the peak learning rate, 0 to 1, that step `step` (from 0) takes.

    The values of the schedules of diffusers.optimization, but that polynomial ends at 0: linear rise from 0 over the
    warm-up, then constant, or to 0: linear, half a cosine, `lr_cycles` such halves (Loshchilov & Hutter 2017), or the
    power `lr_power` of what is to go.
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
        case "cosine_with_restarts":
            return max(0.0, 0.5 * (1.0 + math.cos(math.pi * (settings.lr_cycles * done % 1.0)))) if done < 1 else 0.0
        case "polynomial":
            return float(max(0.0, 1.0 - done) ** settings.lr_power)
