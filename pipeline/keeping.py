"""Models that are kept between calls, and let go of together where room is needed. Loads no library of models."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")
_clear: list[Callable[[], None]] = []


def kept(count: int) -> Callable[[Callable[_P, _T]], Callable[_P, _T]]:
    """Keep what a function loaded for its last `count` sets of arguments, until `release`."""

    def wrap(load: Callable[_P, _T]) -> Callable[_P, _T]:
        cached = functools.lru_cache(maxsize=count)(load)
        _clear.append(cached.cache_clear)
        return functools.wraps(load)(lambda *args, **named: cached(*args, **named))

    return wrap


def release() -> None:
    """Let go of all that is kept."""
    for clear in _clear:
        clear()
