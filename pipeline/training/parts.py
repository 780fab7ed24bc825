"""Parts of a batch, and what is done where memory does not hold a whole one."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Part:
    """Examples `start` to before `stop` of a batch of `of`. Whatever is random is drawn for the whole batch first."""

    start: int
    stop: int
    of: int

    @property
    def all(self) -> slice:
        """The part's examples among the batch's."""
        return slice(self.start, self.stop)

    @property
    def whole(self) -> bool:
        """Whether it is the whole batch."""
        return self.stop - self.start == self.of

    def __len__(self) -> int:
        return self.stop - self.start

    def among(self, count: int) -> "Part":
        """The same share of another batch, of `count`; shares of parts that make up a batch make up the other one."""
        return Part(self.start * count // self.of, self.stop * count // self.of, count)

    def pieces(self, most: int) -> Iterator["Part"]:
        """It in pieces of at most `most` examples, in order."""
        for start in range(self.start, self.stop, most):
            yield Part(start, min(start + most, self.stop), self.of)


def shared(count: int, *, rank: int, processes: int) -> Part:
    """What process `rank` of several takes of a batch of `count`; none takes over one example more than another."""
    return Part(rank * count // processes, (rank + 1) * count // processes, count)


ALLOCATORS = ("DefaultCPUAllocator", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
"""Who says in a plain RuntimeError that memory ran out: torch's allocator on a CPU, and libraries that use a GPU's."""


def out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, a GPU's or the machine's."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(name in str(error) for name in ALLOCATORS)
