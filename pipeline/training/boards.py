"""Where a training's numbers and pictures can be watched: TensorBoard always, Weights & Biases for those who ask."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from accelerate.tracking import WandBTracker
from numpy.typing import NDArray
from tensorboard.compat.proto.summary_pb2 import Summary
from torch.utils.tensorboard import SummaryWriter

from pipeline.training.settings import TrainSettings


@dataclass(frozen=True)
class Seen:
    """What an evaluation saw at one step: numbers and pictures (H x W x 3 bytes), by name."""

    numbers: Mapping[str, float] = field(default_factory=dict)
    pictures: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)


class Boards:
    """The boards of one training, below its folder; `done` steps are there already and shown no second time.

    Weights & Biases keeps what is sent to it where `$WANDB_MODE` says: `offline` in the folder alone.
    """

    def __init__(self, folder: Path, settings: TrainSettings, *, done: int, title: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._board: Any = SummaryWriter(str(folder / "tensorboard"), purge_step=done + 1 if done else None)
        self._tracker: Any = None
        if settings.log_with == "wandb":
            offline = os.environ.get("WANDB_MODE") == "offline"
            # its name is the training's, so that one that goes on is the same run
            known = {"id": folder.name, "name": title or folder.name}
            again = {} if offline else {"resume": "allow"}
            self._tracker = WandBTracker("gesso", dir=str(folder), **known, **again)
            self._tracker.start()
            self._tracker.store_init_configuration(settings.model_dump(mode="json"))

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """Show numbers of a step by name."""
        # one event, in half the time of an add_scalar for each
        shown = Summary(value=[Summary.Value(tag=name, simple_value=value) for name, value in values.items()])
        self._board.file_writer.add_summary(shown, step)
        if self._tracker:
            self._tracker.log(dict(values), step=step)

    def seen(self, step: int, found: Seen) -> None:
        """Show what an evaluation saw."""
        self.numbers(step, found.numbers)
        for name, pixels in found.pictures.items():
            self._board.add_image(name, pixels, step, dataformats="HWC")
        if self._tracker:
            self._tracker.log_images({name: [pixels] for name, pixels in found.pictures.items()}, step=step)

    def flush(self) -> None:
        """Have what was shown on the disk."""
        self._board.flush()

    def close(self) -> None:
        """End them."""
        self._board.close()
        if self._tracker:
            self._tracker.finish()
