"""The running average of the weights."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from diffusers.training_utils import EMAModel
from torch import Tensor, nn


class Average:
    """Exponential moving average of the parameters, warmed up as min(decay, (1 + step) / (10 + step)).

    With a decay of 0 it does nothing, and the averaged weights are the weights.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], *, decay: float) -> None:
        self._parameters = [one for one in parameters if one.requires_grad]
        self._ema: Any = EMAModel(self._parameters, decay=decay, foreach=True) if decay else None

    def __bool__(self) -> bool:
        return self._ema is not None

    def update(self) -> None:
        """Take in the weights of the step just made."""
        if self._ema is not None:
            self._ema.step(self._parameters)

    def resume(self, averaged: Iterable[Tensor], *, step: int) -> None:
        """Go on from the averaged weights as they were after `step` updates."""
        if self._ema is not None:
            self._ema.shadow_params = [
                value.detach().to(own.device, own.dtype).clone()
                for value, own in zip(averaged, self._parameters, strict=True)
            ]
            self._ema.optimization_step = step

    def apply(self) -> None:
        """Give the model the averaged weights for good."""
        if self._ema is not None:
            self._ema.copy_to(self._parameters)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within, the model has the averaged weights; afterwards it has its own again, bit for bit."""
        if self._ema is None:
            yield
            return
        self._ema.store(self._parameters)
        self._ema.copy_to(self._parameters)
        try:
            yield
        finally:
            self._ema.restore(self._parameters)
