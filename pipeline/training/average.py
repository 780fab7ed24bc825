"""The running average of the weights."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from diffusers.training_utils import EMAModel
from torch import nn


class Average:
    """Exponential moving average of parameters, begun with what they hold after `step` steps.

    The decay rises as (1 + step) / (10 + step) up to `decay`. With a decay of 0 there is no average (the object is
    false) and the averaged weights are the weights.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], *, decay: float, step: int) -> None:
        self._parameters = list(parameters)
        self._ema: Any = EMAModel(self._parameters, decay=decay, foreach=True) if decay else None
        if self._ema is not None:
            self._ema.optimization_step = step

    def __bool__(self) -> bool:
        return self._ema is not None

    def update(self) -> None:
        """Take in the weights of the step just made."""
        if self._ema is not None:
            self._ema.step(self._parameters)

    def apply(self) -> None:
        """Give the parameters the averaged weights for good."""
        if self._ema is not None:
            self._ema.copy_to(self._parameters)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within, the parameters hold the averaged weights; afterwards their own again, bit for bit."""
        if self._ema is None:
            yield
            return
        self._ema.store(self._parameters)
        self._ema.copy_to(self._parameters)
        try:
            yield
        finally:
            self._ema.restore(self._parameters)
