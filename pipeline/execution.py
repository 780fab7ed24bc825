"""Where the shards of a stage's work are computed. There is one kind, `LOCAL`: here, one after the other.

Another kind may send them elsewhere, and no stage would know: `compute` and parts can be pickled (by cloudpickle, since
a stage is a module), the workspace is a folder that all reach, and only the process that asked commits what comes back.
docs/decisions/2026-11-27-executors.md says how Ray Data would take the place.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

Part = TypeVar("Part", bound=Sequence[Any])
Made = Sequence[Mapping[str, Any]]
"""One mapping a row of a part."""


class Executor(Protocol):
    """A place to compute."""

    def map(self, compute: Callable[[Part], Made], parts: Iterable[Part]) -> Iterator[tuple[Part, Made]]:
        """Each part with what is made of it, in the parts' order.

        A part counts as done once its answer was taken and the next is asked for; parts may be asked for ahead.
        """


class Local:
    """This process."""

    def map(self, compute: Callable[[Part], Made], parts: Iterable[Part]) -> Iterator[tuple[Part, Made]]:
        """See `Executor.map`; nothing is asked for ahead."""
        for part in parts:
            yield part, compute(part)


LOCAL = Local()
