"""The short training loop of the judge, which is no part of the product: AdamW, warm-up, cosine, bf16, checkpoints."""

import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

CHECKPOINT_SECONDS = 60


def fit(
    model: nn.Module,
    loss: Callable[[int], Tensor],
    *,
    steps: int,
    learning_rate: float,
    work: Path,
    weight_decay: float = 0.01,
    say: Callable[[str], None],
) -> nn.Module:
    """Minimise `loss(step)`, which draws its own batch from the step's number; a killed run goes on where it was.

    `work` receives `checkpoint.pt` (replaced in one move) and `log.jsonl`, a line each 50 steps.
    """
    work.mkdir(parents=True, exist_ok=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=weight_decay, betas=(0.9, 0.99))
    warm = max(1, min(200, steps // 10))

    def rate(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    saved = work / "checkpoint.pt"
    first = 0
    if saved.exists():
        state = torch.load(saved, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        first = int(state["step"])
    model.train()
    begun = last_saved = time.monotonic()
    for step in range(first, steps):
        torch.manual_seed(step)
        with torch.autocast("cpu" if not torch.cuda.is_available() else "cuda", torch.bfloat16):
            value = loss(step)
        optimizer.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if (step + 1) % 50 == 0 or step + 1 == steps:
            passed = time.monotonic() - begun
            line = {"step": step + 1, "loss": round(float(value.detach()), 5), "seconds": round(passed, 1)}
            with (work / "log.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
            left = passed / (step + 1 - first) * (steps - step - 1)
            say(f"{work.name}: step {step + 1}/{steps}, loss {line['loss']}, {left / 60:.1f} min left")
        if time.monotonic() - last_saved > CHECKPOINT_SECONDS or step + 1 == steps:
            state = {
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
                "step": step + 1,
            }
            torch.save(state, saved.with_suffix(".new"))
            saved.with_suffix(".new").replace(saved)
            last_saved = time.monotonic()
    return model.eval()
