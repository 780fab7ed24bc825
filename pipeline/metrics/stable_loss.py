"""The training loss on frozen (picture, noise, timestep) triples: the one loss that can be compared between steps."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from pipeline.training.data import Examples
from pipeline.training.noise import generator, sample_latents
from pipeline.training.objective import Objective
from pipeline.training.painter import Painter

DESCRIPTION = "Error of the prediction on frozen pictures, noises and timesteps; held-out and training apart."
UNIT = "mean squared error, unweighted"
HIGHER_IS_BETTER = False

TIMESTEPS = (100, 300, 500, 800)
"""Of 1000: detail, texture, shape, layout."""
BATCH = 8


@dataclass(frozen=True)
class Loss:
    """The loss of one triple; `row` is the example's place in its training set."""

    row: int
    sample_id: str
    timestep: int
    loss: float


@torch.no_grad()
def measure(
    painter: Painter,
    examples: Examples,
    scheduler: Any,  # noqa: ANN401 - diffusers has no types
    *,
    rows: Sequence[int] | None = None,
    timesteps: Sequence[int] = TIMESTEPS,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,  # noqa: ARG005 (names say what comes)
) -> list[Loss]:
    """The loss of each row (all, if left out) at each timestep, ordered by row and timestep.

    Noise is drawn from the seed, the sample's id and the timestep, the latents are the posterior's mean and the
    captions are whole, so that a triple stays the same whatever else is measured. `painter` stays on its device and in
    its mode. `progress` is told how many of how many batches are done.
    """
    objective = Objective.of(scheduler).to(painter.device)
    by_size: dict[tuple[int, int], list[int]] = defaultdict(list)
    for row in range(len(examples.sizes)) if rows is None else rows:
        by_size[examples.sizes[row]].append(row)
    training = painter.training
    painter.eval()
    batches = [
        (same_size[start : start + BATCH], timestep)
        for same_size in by_size.values()
        for start in range(0, len(same_size), BATCH)
        for timestep in timesteps
    ]
    found = []
    for done, (batch, timestep) in enumerate(batches):
        progress(done, len(batches))
        found += _losses(painter, examples, objective, batch, timestep, seed)
    progress(len(batches), len(batches))
    painter.train(training)
    return sorted(found, key=lambda one: (one.row, one.timestep))


def _losses(
    painter: Painter,
    examples: Examples,
    objective: Objective,
    rows: Sequence[int],
    timestep: int,
    seed: int,
) -> list[Loss]:
    batch = examples.batch(rows)
    latents = sample_latents(batch.moments, scale=examples.scale, shift=examples.shift, draws=None)
    numbers = [int(hashlib.sha256(one.encode()).hexdigest()[:16], 16) for one in batch.ids]
    noise = torch.stack([torch.randn(latents.shape[1:], generator=generator(seed, one, timestep)) for one in numbers])
    latents, noise = latents.to(painter.device), noise.to(painter.device)
    when = torch.full((len(rows),), timestep, device=painter.device)
    noisy = objective.noised(latents, noise, when).to(painter.dtype)
    told = painter.told(batch, examples).to(painter.device, painter.dtype)
    answer = painter.unet(noisy, when, **told.arguments()).sample
    losses = objective.losses(answer, latents, noise, when).tolist()
    return [Loss(row, name, timestep, loss) for row, name, loss in zip(rows, batch.ids, losses, strict=True)]
