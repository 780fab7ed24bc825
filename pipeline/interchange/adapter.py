"""An adapter apart from any layout: low-rank updates of a base model's layers, and the two layouts it is stored in.

`diffusers` names layers as diffusers does, and keeps alphas in the header; `kohya` is that of sd-scripts, LyCORIS and
the web UIs, with an alpha for each layer. From one to the other and back every tensor is the same, bit for bit.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline import atomic, headers
from pipeline.errors import InputError
from pipeline.interchange import layouts
from pipeline.original import kinds, parts
from pipeline.original.kinds import Kind
from pipeline.training import dora, modelspec, weights

CONFIG, KEPT = "lora_adapter_metadata", "gesso_adapter"
"""Where diffusers keeps an adapter's configuration in the header; where it is kept in a file of the other layout, since
diffusers refuses to read alphas from both."""
OWN = (
    "modelspec.",
    "sshs_",
    *modelspec.network(rank=1, alpha=1),
    *modelspec.base(kinds.SD1, prediction=""),
    CONFIG,
    KEPT,
    "format",
)
"""Beginnings of what a header says of the layout, and what is written anew."""


@dataclass(frozen=True)
class Layer:
    """An update of one layer, alpha / R x up x down, with DoRA's magnitude where it has one (see `training.dora`).

    `down` is R x I and `up` O x R; of a convolution R x I x K x K and O x R x 1 x 1.
    """

    down: Tensor
    up: Tensor
    alpha: float
    magnitude: Tensor | None = None

    @property
    def rank(self) -> int:
        """Rank of the update."""
        return len(self.down)

    def update(self) -> Tensor:
        """What it adds to the layer's weight, O x I or O x I x K x K float32; of DoRA, before lengths are set."""
        whole = self.up.float().flatten(1) @ self.down.float().flatten(1)
        return (self.alpha / self.rank * whole).view(len(self.up), *self.down.shape[1:])

    def merged(self, weight: Tensor, scale: float = 1.0) -> Tensor:
        """The layer's weight with `scale` times the update in it, in the weight's number format."""
        moved = weight.float() + scale * self.update()
        if self.magnitude is not None:
            length = moved.flatten(1).norm(dim=1)
            factor = self.magnitude.float().flatten() / length
            moved = moved * factor.view(-1, *[1] * (moved.ndim - 1))
        return moved.to(weight.dtype)


@dataclass(frozen=True)
class Adapter:
    """Layers by part (`unet`, `text_encoder`, `text_encoder_2`) and by diffusers' name of the layer.

    `header` is what its file said of it, and `config` what of that only peft reads, as it was stored.
    """

    layers: Mapping[str, Mapping[str, Layer]]
    header: Mapping[str, str] = field(default_factory=dict)
    config: str | None = None

    @property
    def kind(self) -> Kind:
        """What it was made for: as its header says, else as the width of its texts says."""
        said = kinds.of_spec(self.header.get("modelspec.architecture", ""))
        if said is not None:
            return said
        widths = {one.down.shape[1] for name, one in self.layers.get("unet", {}).items() if ".attn2.to_k" in name}
        if widths == {2048} or "text_encoder_2" in self.layers:
            return kinds.SDXL
        return kinds.SD2 if widths == {1024} else kinds.SD1

    @property
    def all(self) -> list[Layer]:
        """Every layer."""
        return [one for part in self.layers.values() for one in part.values()]


def read(path: Path) -> Adapter:
    """The adapter in a file of either layout.

    Raises:
        InputError: it is no safetensors file, no LoRA, or one that is composed in another way (LoHa, LoKr).
    """
    if problem := headers.problem(path):
        raise InputError(problem, field=str(path), remedy="Name a whole .safetensors file; pickles are not opened.")
    with parts.opened(path) as file:
        tensors = dict(file)
        header = file.header
    found: dict[str, dict[str, dict[str, Tensor]]] = {}
    for name, value in tensors.items():
        part, layer, role = layouts.parsed(name)
        found.setdefault(part, {}).setdefault(layer, {})[role] = value
    config = header.get(KEPT) if KEPT in header else header.get(CONFIG)
    told = _told(config)
    layers = {
        part: {name: _layer(one, f"{part}.{name}", told.get(part, {}), name) for name, one in sorted(own.items())}
        for part, own in found.items()
    }
    return Adapter(layers, header, config)


def write(adapter: Adapter, path: Path, layout: str) -> None:
    """Write an adapter in the layout `diffusers` or `kohya` to a new file.

    Raises:
        InputError: the file is there already.
    """
    if path.exists():
        raise InputError("it is there already", field="--to", value=str(path), remedy="Name a new file.")
    kept = {name: value for name, value in adapter.header.items() if not name.startswith(OWN)}
    velocity = adapter.header.get("modelspec.prediction_type") == "v"
    prediction = "v_prediction" if velocity else "epsilon"
    titled = {name: adapter.header[name] for name in modelspec.OF_PEOPLE if name in adapter.header}
    spec = modelspec.of(adapter.kind, "lora", layout=layout, prediction=prediction) | titled
    config = adapter.config or json.dumps(_config(adapter), indent=2, sort_keys=True)
    with atomic.file(path) as part:
        if layout == "diffusers":
            tensors = _diffusers(adapter)
            weights.save(tensors, part, {**spec, **kept, CONFIG: config})
        else:
            tensors = _kohya(adapter)
            network = modelspec.network(
                rank=_most([one.rank for one in adapter.all]), alpha=_most([one.alpha for one in adapter.all])
            )
            told = {**spec, **modelspec.base(adapter.kind, prediction=prediction), **network, **kept, KEPT: config}
            weights.save(tensors, part, {**told, **modelspec.hashes(tensors, told)})


def _diffusers(adapter: Adapter) -> dict[str, Tensor]:
    made: dict[str, Tensor] = {}
    for part, layers in adapter.layers.items():
        named: dict[str, Tensor] = {}
        for name, one in layers.items():
            named |= {f"{name}.lora_A.weight": one.down, f"{name}.lora_B.weight": one.up}
            if one.magnitude is not None:
                named[f"{name}{dora.PEFTS}"] = one.magnitude
        made |= {f"{part}.{name}": value for name, value in weights.named(named, text=part != "unet").items()}
    return made


def _kohya(adapter: Adapter) -> dict[str, Tensor]:
    made: dict[str, Tensor] = {}
    sdxl = adapter.kind is kinds.SDXL
    for part, layers in adapter.layers.items():
        for name, one in layers.items():
            key = layouts.kohyas(part, name, sdxl=sdxl)
            made |= {f"{key}.lora_down.weight": one.down, f"{key}.lora_up.weight": one.up}
            made[f"{key}.alpha"] = torch.tensor(one.alpha)
            if one.magnitude is not None:
                made[f"{key}{dora.KOHYAS}"] = dora.scale_of(one.magnitude)
    return made


def _layer(one: Mapping[str, Tensor], place: str, told: Mapping[str, Any], name: str) -> Layer:
    if "down" not in one or "up" not in one:
        raise InputError("half of the layer is missing", field=place, remedy="Get the whole file again.")
    down, up = one["down"], one["up"]
    if "alpha" in one:
        alpha = float(one["alpha"])
    else:
        pattern: Mapping[str, float] = told.get("alpha_pattern", {})
        own = [value for ending, value in pattern.items() if name == ending or name.endswith(f".{ending}")]
        alpha = float(own[0] if own else told.get("lora_alpha", len(down)))
    magnitude = one.get("magnitude")
    if "scale" in one:
        if len(one["scale"]) != len(up):
            raise InputError(
                "its lengths are those of columns, and not of rows", field=place, remedy="Only DoRA over rows is known."
            )
        magnitude = dora.magnitude_of(one["scale"]).contiguous()
    return Layer(down, up, alpha, magnitude)


def _told(config: str | None) -> dict[str, dict[str, Any]]:
    """The configuration of each part."""
    found: dict[str, dict[str, Any]] = {}
    for name, value in (json.loads(config) if config else {}).items():
        part, _, key = name.partition(".")
        found.setdefault(part, {})[key] = value
    return found


def _config(adapter: Adapter) -> dict[str, Any]:
    """What peft needs of an adapter, with those fields alone that any release of it knows."""
    told: dict[str, Any] = {}
    for part, layers in adapter.layers.items():
        rank, alpha = (_most([getattr(one, name) for one in layers.values()]) for name in ("rank", "alpha"))
        # endings, which peft finds with and without the wrapper that transformers 5 leaves out
        endings = {name.removeprefix(parts.TEXT_MODEL): one for name, one in layers.items()}
        ranks = {name: one.rank for name, one in endings.items() if one.rank != rank}
        alphas = {name: one.alpha for name, one in endings.items() if one.alpha != alpha}
        own = {
            "r": rank,
            "lora_alpha": int(alpha) if float(alpha).is_integer() else alpha,
            "lora_dropout": 0.0,
            "target_modules": sorted(endings),
            "bias": "none",
            **({"rank_pattern": ranks} if ranks else {}),
            **({"alpha_pattern": alphas} if alphas else {}),
            **({"use_dora": True} if any(one.magnitude is not None for one in layers.values()) else {}),
        }
        told |= {f"{part}.{name}": value for name, value in own.items()}
    return told


def _most(values: list[Any]) -> Any:  # noqa: ANN401
    return Counter(values).most_common(1)[0][0]
