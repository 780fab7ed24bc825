"""The optimizers, with weight decay on matrices only."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn
from torch.nn.utils import get_total_norm

from pipeline.training.settings import TrainSettings

MOMENTUM = 0.9
"""Of SGD: the usual value (Sutskever et al. 2013)."""


def build(parameters: Iterable[nn.Parameter], settings: TrainSettings) -> torch.optim.Optimizer:
    """The settings' optimizer over those parameters that want gradients.

    Biases and the scales of norms (fewer than two dimensions) are not decayed, as in Loshchilov & Hutter's and later
    practice: pulling them to 0 changes what a layer computes and prevents no overfitting.
    """
    wanted = [one for one in parameters if one.requires_grad]
    groups = [
        {"params": [one for one in wanted if one.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [one for one in wanted if one.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=settings.learning_rate, momentum=MOMENTUM, fused=True)
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.999), fused=True)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group the learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def clip(accelerator: Accelerator, optimizer: torch.optim.Optimizer, *, limit: float) -> float:
    """Have the next step taken with the gradients' norm clipped to `limit` (0: as it is); return the norm they have.

    A fused optimizer divides by `grad_scale` as it reads the gradients, which spares a pass over all of them.
    """
    accelerator.unscale_gradients()
    gradients = [one.grad for group in optimizer.param_groups for one in group["params"] if one.grad is not None]
    norm = get_total_norm(gradients)
    told = float(norm)
    inner: Any = getattr(optimizer, "optimizer", optimizer)
    # torch.nn.utils.clip_grad_norm_ has the same constant against a division by 0
    inner.grad_scale = (norm + 1e-6) / limit if limit and told > limit else None
    return told


def state(accelerator: Accelerator, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """What `load_state` needs to go on: the optimizer's moments and, in fp16, the loss's scale."""
    scaler = accelerator.scaler
    return {"optimizer": optimizer.state_dict(), "scaler": scaler.state_dict() if scaler else {}}


def load_state(accelerator: Accelerator, optimizer: torch.optim.Optimizer, saved: Mapping[str, Any]) -> None:
    """Put back what `state` gave."""
    optimizer.load_state_dict(saved["optimizer"])
    if accelerator.scaler:
        accelerator.scaler.load_state_dict(saved["scaler"])
