"""The gradient of one step: the mean over all examples of its micro-batches."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from pipeline.errors import GessoError
from pipeline.training import checkpoints
from pipeline.training.ahead import Ahead
from pipeline.training.data import Rows, Turns
from pipeline.training.job import Job
from pipeline.training.later import Later
from pipeline.training.noise import seed_of
from pipeline.training.parts import Part, out_of_memory
from pipeline.training.settings import TrainSettings
from pipeline.training.team import ALONE, Team

DROPOUT = 1
"""Marks the seeds of dropout, apart from those of noise."""
APART = 0x9E3779B97F4A7C15
"""From one turn's seed of dropout to the next: odd, so that all differ in the 32 bits that torch's CPU generator reads;
2^64 by the golden ratio, so that they differ by more than a batch (Knuth, The Art of Computer Programming, 6.4)."""

Losses = Any
"""The loss of each example of a batch (B float32), by the batch, its turn, and the context for the model's own pass.

A callable; where a lesson's batches may be taken in parts, it also has `part=`, and gives the losses of that part, and
where a lesson draws ahead, `drawn=`."""


@dataclass(frozen=True)
class Launched:
    """A step whose passes the device was given, and may still be at: the ids of each, and all losses one after another.

    `count` examples are in the step, those of other processes too.
    """

    step: int
    count: int
    ids: Sequence[Sequence[str]]
    losses: Later | None


@dataclass
class Gradients:
    """Computes the gradients of a training's steps.

    `folder` is the training's own, for messages, and `job` hears of what happens. Where `splits` is true, a batch that
    memory does not hold is taken in halves, and `team` may share it out; the gradient is the same but for rounding.
    `parameters` are those that are trained.
    """

    accelerator: Accelerator
    examples: Rows
    losses: Losses
    settings: TrainSettings
    folder: Path
    job: Job | None = None
    splits: bool = False
    parameters: Sequence[nn.Parameter] = ()
    team: Team = ALONE
    ahead: Ahead | None = None
    """Where batches come from, with what is random in them; left out, they are read when they are needed."""
    turns: Turns = field(init=False)
    most: int = field(init=False)
    """Examples that one pass takes at most; halved where memory runs out, for the rest of the training."""

    def __post_init__(self) -> None:
        self.turns = Turns(self.examples, batch_size=self.settings.batch_size, seed=self.settings.seed)
        self.most = self.settings.batch_size
        self._ahead = self.ahead or Ahead(self.examples, self.settings, beside=False)

    def accumulate(self, step: int) -> float:
        """`launch`, and the mean loss; raises GessoError where one is not finite, naming its batch."""
        return self.loss(self.launch(step))

    def fitting(self, step: int) -> Launched:
        """`launch`, in smaller pieces where memory does not hold the whole.

        Raises GessoError also where it does not hold a single example.
        """
        while True:
            try:
                return self.launch(step)
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                told = str(error).strip().splitlines()[0]
            # the error, which holds on to the pass's tensors, is gone by now
            self._halve(step, told)

    def pictures(self, step: int) -> str:
        """The pictures of a step, by the names of their files."""
        return self._named(name for rows in self._batches(step).values() for name in self.examples.batch(rows).ids)

    def refuse_norm(self, step: int, norm: float) -> None:
        """Raise GessoError where the gradient's norm is not finite; in fp16 the loss's scale copes with that."""
        if math.isfinite(norm) or self.accelerator.scaler is not None:
            return
        raise GessoError(
            f"the gradient of step {step + 1} is not finite, though its loss is; in its batch: {self.pictures(step)}. "
            + self.advice()
        )

    def advice(self) -> str:
        """The last good checkpoint, and what to do."""
        good = checkpoints.latest(self.folder)
        return (
            f"The last good checkpoint is {good.folder if good else 'none'}. The same settings would end here again: "
            "lower train.learning_rate, which makes it a training of its own from the first step, or train in bf16 or "
            "without mixed precision, or look at the pictures that are named."
        )

    def _batches(self, step: int) -> dict[int, list[int]]:
        first = step * self.settings.gradient_accumulation
        return {turn: self.turns.rows(turn) for turn in range(first, first + self.settings.gradient_accumulation)}

    def launch(self, step: int) -> Launched:
        """Give the device the passes that add the gradient of step `step` (from 0) to the parameters.

        Every example weighs the same, also where the last batch of a bucket is short. On a GPU nothing here waits for
        it.
        """
        first = step * self.settings.gradient_accumulation
        batches = {turn: self.turns.rows(turn) for turn in range(first, first + self.settings.gradient_accumulation)}
        count = sum(len(rows) for rows in batches.values())
        ids: list[Sequence[str]] = []
        passes: list[Tensor] = []
        for turn, rows in batches.items():
            own = self.team.share(len(rows))
            if not len(own):
                continue
            batch, drawn = self._ahead.get(turn)
            for part in own.pieces(self.most):
                # dropout inside the model reads the global stream, which must not repeat the noise's
                seed = (self._dropout + turn * APART + part.start) % 2**63
                torch.default_generator.manual_seed(seed)
                if self.accelerator.device.type == "cuda":
                    torch.cuda.manual_seed(seed)
                more = ({} if part.whole else {"part": part}) | ({} if drawn is None else {"drawn": drawn})
                losses = self.losses(batch, turn, self.accelerator.autocast(), **more)
                mean = losses.sum() / count
                if self.accelerator.scaler:
                    self.accelerator.backward(mean)
                else:  # accelerate's own would add nothing but a tenth of a millisecond
                    mean.backward()
                ids.append(batch.ids[part.all])
                passes.append(losses.detach())
        self.team.add_gradients(self.parameters)
        return Launched(step, count, ids, Later(torch.cat(passes)) if passes else None)

    def loss(self, launched: Launched) -> float:
        """A step's mean loss, once the device has it. Raises GessoError where one is not finite, naming its batch."""
        found = launched.losses.read() if launched.losses else []
        total = self.team.sum(math.fsum(found))
        if not math.isfinite(total):
            raise GessoError(self._not_finite(launched, found))
        return total / launched.count

    @cached_property
    def _dropout(self) -> int:
        return seed_of(self.settings.seed, DROPOUT)

    def _halve(self, step: int, told: str) -> None:
        """Take half as many examples at a time from now on, and forget what the failed passes left."""
        largest = max(len(piece) for rows in self._batches(step).values() for piece in self._pieces(len(rows)))
        if largest == 1 or not self.splits:
            why = "holds not even one example" if largest == 1 else "does not hold the batch, which cannot be split"
            raise GessoError(
                f"memory {why} in step {step + 1} ({told}). Set train.gradient_checkpointing=true or "
                "train.mixed_precision=bf16, or lower train.batch_size or buckets.resolution."
            )
        self.most = (largest + 1) // 2
        for one in self.parameters:
            one.grad = None
        if self.accelerator.device.type == "cuda":
            torch.cuda.empty_cache()
        if self.job:
            self.job.say(
                f"memory ran out in step {step + 1}: from now on {self.most} examples at a time instead of {largest}; "
                f"a step still sees {self.settings.batch_size * self.settings.gradient_accumulation}"
            )

    def _pieces(self, count: int) -> list[Part]:
        return list(self.team.share(count).pieces(self.most))

    def _named(self, ids: Any) -> str:  # noqa: ANN401 (any iterable of texts)
        name = self.job.name if self.job else str
        return ", ".join(name(one) for one in dict.fromkeys(ids))

    def _not_finite(self, launched: Launched, losses: Sequence[float]) -> str:
        values = iter(losses)
        passes = [[(name, next(values)) for name in ids] for ids in launched.ids]
        bad = [name for each in passes for name, loss in each if not math.isfinite(loss)]
        whole = next((each for each in passes if not all(math.isfinite(loss) for _, loss in each)), ())
        of = self._named(name for name, _ in whole)
        told = f"{self._named(bad)} (whole batch: {of})" if bad else f"one of {self.pictures(launched.step)}"
        return f"the loss of step {launched.step + 1} is not finite for {told}. {self.advice()}"
