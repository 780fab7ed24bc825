"""The surroundings of one training: accelerate on the right device, and the caller's random state left alone."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from pipeline.errors import RecipeError
from pipeline.training.settings import TrainSettings


@contextmanager
def session(settings: TrainSettings, *, device: torch.device) -> Iterator[Accelerator]:
    """An Accelerator for one training on `device`, in the settings' precision; the global seed is the settings'.

    accelerate keeps its state for the whole process and refuses a second precision, so it is cleared before and after;
    two trainings at the same time need two processes. Raises RecipeError for fp16 on a CPU.
    """
    if settings.mixed_precision == "fp16" and device.type == "cpu":
        raise RecipeError(
            "a CPU does not train in fp16",
            field="train.mixed_precision",
            value=settings.mixed_precision,
            remedy="Choose bf16 or no, or train on a GPU.",
        )
    _clear()
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(settings.seed)
            yield Accelerator(mixed_precision=settings.mixed_precision, cpu=device.type == "cpu")
    finally:
        _clear()


def _clear() -> None:
    AcceleratorState._reset_state(reset_partial_state=True)  # noqa: SLF001 - accelerate offers no public way
