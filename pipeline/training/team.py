"""Several processes that train one model together: each takes a share of every batch, and their gradients are added."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import distributed, nn

from pipeline import stopping
from pipeline.errors import RecipeError
from pipeline.training.parts import Part, shared


@dataclass(frozen=True)
class Team:
    """This process's place, `rank`, among `processes`; the one with rank 0 leads, and alone writes files.

    A batch is shared out example by example after everything random was drawn for the whole of it, so that the team's
    step is that of one process, but for rounding. Needs torch's process group where there are several.
    """

    rank: int = 0
    processes: int = 1

    @classmethod
    def here(cls) -> "Team":
        """The team of torch's process group, where there is one."""
        if not (distributed.is_available() and distributed.is_initialized()):
            return ALONE
        return cls(distributed.get_rank(), distributed.get_world_size())

    @property
    def leads(self) -> bool:
        """Whether this process writes."""
        return self.rank == 0

    def share(self, count: int) -> Part:
        """What this process takes of a batch of `count` examples; may be none."""
        return shared(count, rank=self.rank, processes=self.processes)

    def check(self, *, splits: bool) -> None:
        """Make sure that a team can train what is to be trained.

        Raises:
            RecipeError: an example's loss depends on the rest of its batch, or is not made for parts.
        """
        if self.processes > 1 and not splits:
            raise RecipeError(
                f"this method's batches cannot be shared out among {self.processes} processes",
                field="train.method",
                remedy="Train it in one process.",
            )

    def sum(self, value: float) -> float:
        """The sum over all processes."""
        if self.processes == 1:
            return value
        told = torch.tensor([value], dtype=torch.float64)
        distributed.all_reduce(told)
        return float(told)

    def add_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Give every process the sum of all gradients; a parameter that has none anywhere stays without."""
        if self.processes == 1:
            return
        has = torch.tensor([one.grad is not None for one in parameters], dtype=torch.int32)
        distributed.all_reduce(has, distributed.ReduceOp.MAX)
        wanted = [one for one, there in zip(parameters, has.tolist(), strict=True) if there]
        for one in wanted:
            if one.grad is None:
                one.grad = torch.zeros_like(one)
            distributed.all_reduce(one.grad)

    def agree_to_stop(self) -> None:
        """Where any process was told to stop, have all of them stop at the next safe point."""
        if self.processes == 1:
            return
        told = torch.tensor([stopping.signal_wished()])
        distributed.all_reduce(told, distributed.ReduceOp.MAX)
        if int(told):
            stopping.wish(int(told))

    def wait(self) -> None:
        """Go on when all processes have come here."""
        if self.processes > 1:
            distributed.barrier()


ALONE = Team()
"""One process."""
