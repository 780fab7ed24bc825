"""Numbers and tensors between a GPU and the host, so that neither waits for the other."""

import torch
from torch import Tensor


class Later:
    """Numbers of a device, on their way to the host; on a CPU they are there."""

    def __init__(self, values: Tensor) -> None:
        # into pinned memory, in the order of the stream: what is given to the GPU later does not delay it
        self._values = values.detach().to("cpu", non_blocking=values.is_cuda)
        self._there: torch.cuda.Event | None = None
        if values.is_cuda:
            self._there = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._there.record()

    def read(self) -> list[float]:
        """They, once they are there."""
        if self._there is not None:
            self._there.synchronize()
        found: list[float] = self._values.flatten().tolist()
        return found


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on another device; on its way to a GPU the host does not wait for what that is at."""
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
