"""A base model with an adapter, or with the parts of a full training, in it: a new folder."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from pipeline import atomic, model_files
from pipeline.errors import InputError, ModelError
from pipeline.interchange.adapter import Adapter, Layer
from pipeline.original import parts


def write(
    base: Path, adapter: Adapter, target: Path, *, scale: float = 1.0, header: Mapping[str, str] | None = None
) -> int:
    """Write the base model's folder with `scale` times the adapter in it to a new folder; how many layers changed.

    Sums are made in float32 and stored in the base model's number format.

    Raises:
        InputError: `target` is there already.
        ModelError: the adapter is for another base model.
    """
    _check_new(target)
    with atomic.folder(target) as fresh:
        _copy(base, fresh, without=set(adapter.layers))
        for part, layers in adapter.layers.items():
            with parts.weights(base, part) as values:
                merged = dict(values)
            for name, layer in layers.items():
                merged[f"{name}.weight"] = _merged(merged, part, name, layer, scale)
            parts.write(fresh, part, merged, header)
    return len(adapter.all)


def replace(base: Path, trained: Path, target: Path) -> int:
    """Write the base model's folder with the parts that lie in the folder `trained` in place of its own; how many.

    Raises:
        InputError: `target` is there already, or `trained` has no part of a base model.
    """
    _check_new(target)
    found = [part for part in parts.of(base) if (trained / part / "config.json").exists()]
    if not found:
        raise InputError(
            "this is neither an adapter nor a folder of trained parts",
            field="ADAPTER",
            value=str(trained),
            remedy="Name a LoRA's .safetensors file, or a folder with unet/ in it.",
        )
    with atomic.folder(target) as fresh:
        _copy(base, fresh, without=set())
        for part in found:
            shutil.rmtree(fresh / part)
            shutil.copytree(trained / part, fresh / part)
    return len(found)


def _merged(values: Mapping[str, Tensor], part: str, name: str, layer: Layer, scale: float) -> Tensor:
    weight = values.get(f"{name}.weight")
    shape = (len(layer.up), *layer.down.shape[1:])
    if weight is None or tuple(weight.shape) != shape:
        there = "is not there" if weight is None else f"is {' x '.join(map(str, weight.shape))}"
        raise ModelError(
            f"the adapter is for another base model: {name} {there}, and ought to be {' x '.join(map(str, shape))}",
            field=part,
            remedy="Name the base model that it was trained on, or one of the same kind.",
        )
    return layer.merged(weight, scale)


def copy(base: Path, target: Path) -> None:
    """Copy a base model's folder, without what is not of it.

    Raises:
        InputError: `target` is there already.
    """
    _check_new(target)
    with atomic.folder(target) as fresh:
        _copy(base, fresh, without=set())


def _check_new(target: Path) -> None:
    if target.exists():
        raise InputError("it is there already", field="--to", value=str(target), remedy="Name a new folder or file.")


def _copy(base: Path, fresh: Path, *, without: set[str]) -> None:
    """Copy what a base model is made of, but for the weights of some parts."""
    for pattern in model_files.BASE_FILES:
        for path in sorted(base.glob(pattern)):
            name = path.relative_to(base)
            left = path.suffix == ".safetensors" and name.parts[0] in without
            if not left and not any(name.match(one) for one in model_files.UNWANTED):
                (fresh / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, fresh / name)
