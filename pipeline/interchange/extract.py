"""A LoRA of what a full training changed: the best approximation of each layer's change, by its singular values.

Eckart & Young 1936: of all matrices of rank R, the first R terms of the singular value decomposition are nearest.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from pipeline import families
from pipeline.errors import InputError, ModelError
from pipeline.interchange.adapter import Adapter, Layer
from pipeline.original import kinds, parts
from pipeline.training import modelspec


@dataclass(frozen=True)
class Extraction:
    """An adapter, the share (0 to 1) of the change's energy that it has, and what changed that no LoRA can hold.

    Energy is the sum of squares; `left` are names of parameters such as biases and norms.
    """

    adapter: Adapter
    kept: float
    left: tuple[str, ...]


def extract(base: Path, tuned: Path, *, rank: int | None = None, energy: float | None = None) -> Extraction:
    """Take the change from one base model's folder to another of the same architecture apart.

    Each layer gets `rank`, or the least rank that keeps the share `energy` (0 to 1) of its change; without either,
    nothing is cut off. Layers that did not change are left out.

    Raises:
        ModelError: the two are not of the same architecture.
        InputError: they are the same, or differ in nothing that a LoRA can hold.
    """
    found: dict[str, dict[str, Layer]] = {}
    left: list[str] = []
    total = kept = 0.0
    for part in ("unet", *families.of(base).text_encoders):
        for name, change in _changes(base, tuned, part):
            whole = float(change.square().sum())
            total += whole
            layer, _, leaf = name.rpartition(".")
            if leaf != "weight" or change.ndim not in (2, 4) or ".embeddings." in name:
                left.append(f"{part}.{name}")
                continue
            made = _layer(change, rank, energy)
            kept += whole - float((change - made.update()).square().sum())
            found.setdefault(part, {})[layer] = made
    if not found:
        raise InputError(
            "the two models differ in no layer that a LoRA can hold" if total else "the two models are the same",
            field="TUNED",
            value=str(tuned),
            remedy="Name a base model and one that was trained from it.",
        )
    kind, prediction = kinds.of_unet(parts.config(base, "unet")), parts.noise(base).get("prediction_type", "epsilon")
    header = modelspec.of(kind, "lora", layout="diffusers", prediction=prediction)
    return Extraction(Adapter(found, header), max(0.0, kept / total), tuple(left))


def _changes(base: Path, tuned: Path, part: str) -> Iterator[tuple[str, Tensor]]:
    with parts.weights(base, part) as before, parts.weights(tuned, part) as after:
        if set(before) != set(after):
            odd = sorted(set(before) ^ set(after))[0]
            raise ModelError("the two models are not of the same architecture", field=part, value=odd, remedy=SAME)
        for name, value in sorted(before.items()):
            other = after[name]
            if other.shape != value.shape:
                raise ModelError("the two models are not of the same architecture", field=part, value=name, remedy=SAME)
            change = other.float() - value.float()
            if bool(change.any()):
                yield name, change


SAME = "Name a base model and one that was trained from it."


def _layer(change: Tensor, rank: int | None, energy: float | None) -> Layer:
    left, values, right = torch.linalg.svd(change.flatten(1), full_matrices=False)
    count = int((values > values[0] * torch.finfo(torch.float32).eps).sum())
    if rank is not None:
        count = min(count, rank)
    elif energy is not None:
        share = values.square().cumsum(0) / values.square().sum()
        count = min(count, int((share < energy).sum()) + 1)
    root = values[:count].sqrt()
    down, up = root[:, None] * right[:count], left[:, :count] * root
    if change.ndim == 4:
        down, up = down.view(count, *change.shape[1:]), up[:, :, None, None]
    return Layer(down.contiguous(), up.contiguous(), float(count))
