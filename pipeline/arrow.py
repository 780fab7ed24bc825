"""pyarrow as gesso uses it: without pandas, and giving back the memory that is no longer needed.

It imports pandas for nearly a second only to see that a list is none of pandas' things.
"""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType

import pyarrow as pa


def leave_pandas_out() -> None:
    """Let pyarrow take pandas for not installed, until somebody asks it for something of pandas, such as `to_pandas`.

    To be called on import, before other threads run and the first array is made. It does nothing in a process that has
    imported pandas already.
    """
    if "pandas" not in sys.modules:
        hidden = _Hidden()
        sys.meta_path.insert(0, hidden)
        try:
            pa.array([0])  # pyarrow looks for pandas once
        finally:
            sys.meta_path.remove(hidden)


def give_memory_back() -> None:
    """Give the system what is free: allocators keep it otherwise, for what may come."""
    pa.default_memory_pool().release_unused()
    pa.system_memory_pool().release_unused()  # with glibc, all that is free between what is in use


class _Hidden(MetaPathFinder):
    """Says of pandas that it is not installed."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:  # noqa: ARG002
        """Nothing, for all other modules.

        Raises:
            ModuleNotFoundError: it is pandas.
        """
        if fullname == "pandas":
            raise ModuleNotFoundError(fullname)
