"""The optimizers, with weight decay on matrices only."""

import math
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, cast

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.linalg import vector_norm
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from pipeline.errors import RecipeError
from pipeline.training.settings import TrainSettings

EXTRAS = {"adamw8bit": "bitsandbytes", "prodigy": "prodigyopt"}
"""Optimizers that need a package which gesso does not bring."""
FACTOR = "factor"
"""Of a group of parameters: what the learning rate is multiplied by for it."""
SMALL = 4096
"""Gradients of fewer values than this are joined before their norm is taken."""
MOMENTUM = 0.9
"""Of SGD: the usual value (Sutskever et al. 2013)."""


def build(
    named: Mapping[str, nn.Parameter], settings: TrainSettings, rates: Mapping[str, float] | None = None
) -> torch.optim.Optimizer:
    """The settings' optimizer over those parameters that want gradients.

    `rates` gives those whose names begin so a factor of the learning rate; the first that fits counts. Raises
    RecipeError where a block that the settings give a rate has no parameters to train.

    Biases and the scales of norms (fewer than two dimensions) are not decayed, as in Loshchilov & Hutter's and later
    practice: pulling them to 0 changes what a layer computes and prevents no overfitting.
    """
    groups = _groups({name: one for name, one in named.items() if one.requires_grad}, settings, rates or {})
    rate: dict[str, Any] = {"lr": settings.learning_rate}
    means: dict[str, Any] = {"betas": settings.betas}
    match settings.optimizer:
        case "adamw":
            return torch.optim.AdamW(groups, **rate, **means, fused=True)
        case "sgd":
            return torch.optim.SGD(groups, **rate, momentum=MOMENTUM, fused=True)
        case "adafactor":
            return torch.optim.Adafactor(groups, **rate)
        case "adamw8bit":
            return cast("torch.optim.Optimizer", _extra("bitsandbytes").optim.AdamW8bit(groups, **rate, **means))
        case "prodigy":
            # as its authors advise for diffusion models: github.com/konstmish/prodigy
            kind = _extra("prodigyopt").Prodigy
            made = kind(groups, **rate, **means, decouple=True, use_bias_correction=True, safeguard_warmup=True)
            return cast("torch.optim.Optimizer", made)


def _groups(
    named: Mapping[str, nn.Parameter], settings: TrainSettings, rates: Mapping[str, float]
) -> list[dict[str, Any]]:
    for block in settings.block_rates:
        if not any(name.startswith(f"unet.{block}.") for name in named):
            raise RecipeError(
                "nothing that is trained lies in this block",
                field="train.block_rates",
                value=block,
                remedy="Name blocks of the UNet, such as down_blocks, mid_block or up_blocks.1.",
            )
    found: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, one in named.items():
        factor = next((rate for beginning, rate in rates.items() if name.startswith(f"{beginning}.")), 1.0)
        decay = settings.weight_decay if one.ndim >= 2 else 0.0
        found.setdefault((factor, decay), []).append(one)
    groups = sorted(found.items(), reverse=True, key=lambda group: group[0])
    return [{"params": params, "weight_decay": decay, FACTOR: factor} for (factor, decay), params in groups]


def _extra(package: str) -> Any:  # noqa: ANN401 - a module of a package that need not be there
    """A package that gesso does not bring.

    Raises:
        RecipeError: it is not installed, or does not open on this machine.
    """
    try:
        return import_module(package)
    except (ImportError, OSError, RuntimeError) as error:
        raise RecipeError(
            f"it needs a package that does not open here: {error}",
            field="train.optimizer",
            value=next(name for name, one in EXTRAS.items() if one == package),
            remedy=f"Install it (pip install {package}), or choose another optimizer, such as adafactor.",
        ) from error


def scaled(accelerator: Accelerator, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """The optimizer, in accelerate's own where the loss has a scale, which comes out of the gradients before a step.

    Without a scale that one adds nothing but half a millisecond a step, for which it looks for a package on the disk.
    """
    return cast("torch.optim.Optimizer", accelerator.prepare_optimizer(optimizer)) if accelerator.scaler else optimizer


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group the learning rate, times its own factor."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group[FACTOR]


def clip(accelerator: Accelerator, optimizer: torch.optim.Optimizer, *, limit: float) -> Tensor:
    """Have the next step taken with the gradients' norm clipped to `limit` (0: as it is); the norm they have, a scalar.

    A fused optimizer divides by `grad_scale` as it reads the gradients, which spares a pass over all of them; for
    others the gradients themselves are scaled. On a GPU nothing here waits for it, but for the scale of a loss in fp16.
    """
    accelerator.unscale_gradients()
    wanted = (one.grad for group in optimizer.param_groups for one in group["params"])
    gradients = [one for one in wanted if one is not None]
    norm = norm_of(gradients)
    inner: Any = getattr(optimizer, "optimizer", optimizer)
    # a CPU has the norm by now, and does nothing where it is below the limit
    above = bool(limit) and (norm.device.type != "cpu" or float(norm) > limit)
    if inner.defaults.get("fused"):
        # torch.nn.utils.clip_grad_norm_ has the same constant against a division by 0
        inner.grad_scale = ((norm + 1e-6) / limit).clamp(min=1.0) if above else None
    elif above:
        parameters = [one for group in optimizer.param_groups for one in group["params"]]
        clip_grads_with_norm_(parameters, limit, norm)
    return norm


def norm_of(gradients: Sequence[Tensor]) -> Tensor:
    """The Euclidean norm of all gradients together, a scalar.

    In a CPU's memory what a norm of few values costs is its call, and most of a UNet's gradients are biases and norms'
    scales: those are joined first, and the rest is summed in Python, in three quarters of `get_total_norm`'s time.
    """
    if gradients and gradients[0].device.type != "cpu":
        return get_total_norm(gradients)
    small = [one.flatten() for one in gradients if one.numel() < SMALL]
    large = [one for one in gradients if one.numel() >= SMALL]
    joined = [torch.cat(small)] if small else []
    return torch.tensor(math.hypot(*(float(vector_norm(one)) for one in (*large, *joined))))


def state(accelerator: Accelerator, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """What `load_state` needs to go on: the optimizer's moments and, in fp16, the loss's scale."""
    scaler = accelerator.scaler
    return {"optimizer": optimizer.state_dict(), "scaler": scaler.state_dict() if scaler else {}}


def load_state(accelerator: Accelerator, optimizer: torch.optim.Optimizer, saved: Mapping[str, Any]) -> None:
    """Put back what `state` gave."""
    optimizer.load_state_dict(saved["optimizer"])
    if accelerator.scaler:
        accelerator.scaler.load_state_dict(saved["scaler"])
