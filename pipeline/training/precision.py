"""The number format that a model computes in, wherever it is at work: in a training, and where that is evaluated.

Weights that are trained stay float32. Those that stay as they are need not: autocast would round them at every use to
what is stored here once, so that the answers are the same, bit for bit, from half the memory.
"""

from contextlib import ExitStack
from typing import Any

import torch
from accelerate.utils import convert_to_fp32
from torch import nn

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
"""Number formats by the settings' names."""
ROUNDED = (nn.Linear, nn.Conv2d)
"""Layers whose weights autocast rounds; it computes norms in float32, with their weights as they are."""


def compute_in(model: nn.Module, precision: str, *, frozen: bool) -> None:
    """Have every pass of a float32 model compute in `precision` (`bf16` or `fp16`; `no`: as it is), on any device.

    Its answers are float32. Where it is `frozen`, none of its own weights is trained, and they are stored so, too.
    """
    if precision == "no":
        return
    dtype = DTYPES[precision]
    if frozen:
        for layer in model.modules():
            if isinstance(layer, ROUNDED):
                layer.to(dtype)
    entered: list[ExitStack] = []

    def enter(module: nn.Module, _: Any) -> None:  # noqa: ANN401 - torch's hooks
        entered.append(ExitStack())
        entered[-1].enter_context(torch.autocast(next(module.parameters()).device.type, dtype))

    def leave(_module: nn.Module, _inputs: Any, answer: Any) -> Any:  # noqa: ANN401
        entered.pop().close()
        return convert_to_fp32(answer)

    model.register_forward_pre_hook(enter)
    model.register_forward_hook(leave, always_call=True)
