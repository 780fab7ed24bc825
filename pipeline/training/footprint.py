"""What a training of a UNet will take: bytes of memory and arithmetic, from the shapes of its weights alone.

Reads no weights and needs no torch, so that a plan can tell it at once. What autograd keeps for the backward pass is
counted layer by layer, as torch keeps it: a linear layer or convolution its input where its weight is trained, a norm
its input, SiLU its input, GEGLU both halves and what it makes of one, attention its query, key, value and answer (by
plain products its weights, too). tests/training/test_footprint.py holds the count against autograd's own.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.training.settings import TrainSettings

Shape = tuple[int, ...]
BYTES = 4
"""Of a float32 number."""
TOKENS = 77
"""Positions of a caption."""
KEPT_BY = {"adamw": 8, "adamw8bit": 2, "sgd": 4, "adafactor": 0, "prodigy": 16}
"""Bytes of state that an optimizer keeps for a number that it trains."""
CONVOLUTIONS = ("conv1", "conv2", "conv_shortcut", "conv")
FEW_POSITIONS = 1024
"""As in `denoising`: up to so many positions attend on a CPU by plain products."""
HALF = 0.65
"""Activations in bf16 or fp16 against float32: half of most, and what norms keep in full (measured with autocast)."""


@dataclass(frozen=True)
class Footprint:
    """What one training takes. Bytes are peaks, and upper bounds where only late layers are trained."""

    parameters: int
    """Numbers that are trained."""
    weights: int
    """Bytes of the models that are at work in a step."""
    states: int
    """Bytes of gradients, of the optimizer's state and of averaged weights."""
    example: int
    """Bytes that one example keeps for its backward pass."""
    flops: float
    """Floating-point operations of one example, forward and backward (a product and its sum are two)."""

    def peak(self, examples: int) -> int:
        """Bytes at the peak of a step that takes so many examples at once."""
        return self.weights + self.states + examples * self.example


def footprint(
    shapes: Mapping[str, Shape],
    config: Mapping[str, Any],
    settings: TrainSettings,
    *,
    size: tuple[int, int],
    texts: Mapping[str, Shape] | None = None,
    cpu: bool = True,
) -> Footprint:
    """Of a training of the UNet with weights of these `shapes` and this `config`, on latents of `size` (h, w).

    `texts` are the shapes of text encoders' weights, where they are at work in each step.
    """
    layers = _Layers(shapes, config, settings, size, cpu)
    encoders = texts or {}
    trains = settings.text_encoder or settings.method == "textual_inversion"
    whole = not settings.frozen
    parameters = layers.parameters + (_trained_of_texts(encoders, settings) if settings.text_encoder else 0)
    parameters += settings.vectors * _width(encoders) if settings.method == "textual_inversion" else 0
    numbers = sum(math.prod(shape) for shape in shapes.values())
    read = sum(math.prod(shape) for shape in encoders.values())
    added = 0 if whole else parameters
    half = settings.mixed_precision != "no"
    # autocast keeps a copy of each weight in the smaller format until the step is done; frozen ones are that copy
    of_unet = 2 if half and settings.frozen else BYTES + (2 if half else 0)
    of_rest = BYTES + (2 if half else 0)
    each = BYTES + KEPT_BY[settings.optimizer] + (BYTES if settings.ema_decay else 0)
    kept = layers.kept + (sum(_kept_of_text(name, shape) for name, shape in encoders.items()) if trains else 0)
    return Footprint(
        parameters=parameters,
        weights=of_unet * numbers + of_rest * (read + added),
        states=parameters * each,
        example=round(BYTES * kept * (HALF if half else 1)),
        flops=layers.flops * _passes(settings),
    )


def _passes(settings: TrainSettings) -> float:
    """Forward passes that a step is worth: the backward pass is one for the inputs and one for the weights trained."""
    return (2.1 if settings.frozen else 3.0) + (1.0 if settings.gradient_checkpointing else 0.0)


class _Layers:
    """The layers of a UNet, by the names and shapes of their weights."""

    def __init__(
        self,
        shapes: Mapping[str, Shape],
        config: Mapping[str, Any],
        settings: TrainSettings,
        size: tuple[int, int],
        cpu: bool,
    ) -> None:
        self._settings, self._size, self._cpu = settings, size, cpu
        self._levels = len(config["block_out_channels"])
        self._heads = _heads(config)
        self.parameters, self.flops, saved = 0, 0.0, defaultdict[str, float](float)
        whole = not settings.frozen
        for name, shape in shapes.items():
            layer, _, kind = name.rpartition(".")
            adapted = not whole and self._adapted(layer)
            trained = whole and not _begins(name, settings.freeze)
            if trained:
                self.parameters += math.prod(shape)
            if kind != "weight":
                continue
            if adapted and len(shape) > 1:
                self.parameters += self._adapter(layer, shape)
            for part, numbers in self._kept(layer, shape, wanted=trained or adapted):
                saved[part] += numbers
            self.flops += self._flops(layer, shape)
        self.kept = self._checkpointed(saved, shapes) if settings.gradient_checkpointing else sum(saved.values())

    def _positions(self, layer: str, *, after: bool = False) -> int:
        """Positions that a layer works on: those of its block; `after` it, where a sampler halves them."""
        block, _, rest = layer.partition(".")
        number = int(rest.split(".")[0]) if block in ("down_blocks", "up_blocks") else 0
        level = {"down_blocks": number, "mid_block": self._levels - 1, "up_blocks": self._levels - 1 - number}.get(
            block, 0
        )
        if ".upsamplers." in layer:
            level -= 1
        if ".downsamplers." in layer and after:
            level += 1
        return math.prod(math.ceil(side / 2**level) for side in self._size)

    def _kept(self, layer: str, shape: Shape, *, wanted: bool) -> Iterator[tuple[str, float]]:
        """(module that can be computed again, numbers kept for the backward pass) of one layer."""
        positions, last, out = self._positions(layer), layer.rpartition(".")[2], shape[0]
        module = _module(layer)
        if "time_emb" in layer or "add_embedding" in layer:
            return
        if ".attn" in layer:
            other = TOKENS if ".attn2." in layer else positions
            if last == "to_q":
                # the query, and what attends, beside what is attended to
                yield module, out * positions * 2
                yield module, self._attended(out, positions, other)
                yield module, shape[1] * positions if wanted else 0
            elif last in ("to_k", "to_v"):
                yield module, out * other
            return
        if len(shape) == 1:
            silu = "resnets" in layer or last == "conv_norm_out"
            yield module, out * positions * (2 if silu else 1)
        elif layer.endswith("ff.net.0.proj"):
            yield module, 1.5 * out * positions + (shape[1] * positions if wanted else 0)
        elif wanted:
            yield module, shape[1] * positions

    def _attended(self, width: int, positions: int, other: int) -> float:
        """Weights of attention that are kept; only plain products keep them, and its scaled query and key."""
        plain = self._cpu and math.prod(self._size) <= FEW_POSITIONS and not self._settings.gradient_checkpointing
        if not plain:
            return 0
        return self._heads(width) * positions * other + width * (positions + other)

    def _flops(self, layer: str, shape: Shape) -> float:
        if len(shape) == 1:
            return 0.0
        if "time_emb" in layer or "add_embedding" in layer:
            return 2.0 * math.prod(shape)
        positions, last = self._positions(layer, after=True), layer.rpartition(".")[2]
        if ".attn" not in layer:
            return 2.0 * math.prod(shape) * positions
        other = TOKENS if ".attn2." in layer else positions
        own = 2.0 * math.prod(shape) * (other if last in ("to_k", "to_v") else positions)
        return own + (4.0 * positions * other * shape[0] if last == "to_q" else 0.0)

    def _adapted(self, layer: str) -> bool:
        one = self._settings
        if one.method not in ("lora", "dreambooth"):
            return False
        if one.target_blocks and not _begins(layer, one.target_blocks):
            return False
        endings = (*one.target_modules, *(CONVOLUTIONS if one.conv_rank else ()))
        return any(layer == ending or layer.endswith(f".{ending}") for ending in endings)

    def _adapter(self, layer: str, shape: Shape) -> int:
        one = self._settings
        convolves = layer.rpartition(".")[2] in CONVOLUTIONS
        rank = one.conv_rank if convolves and one.conv_rank else one.rank
        return rank * (math.prod(shape[1:]) + shape[0]) + (shape[0] if one.use_dora else 0)

    def _checkpointed(self, saved: Mapping[str, float], shapes: Mapping[str, Shape]) -> float:
        """What is kept where each module keeps its input alone and is computed again, one at a time."""
        inputs: dict[str, float] = {}
        for name, shape in shapes.items():
            layer, _, kind = name.rpartition(".")
            if kind == "weight" and layer.endswith(".norm1"):
                inputs[_module(layer)] = shape[0] * self._positions(layer)
        again = [numbers for module, numbers in saved.items() if module in inputs]
        rest = sum(numbers for module, numbers in saved.items() if module not in inputs)
        return rest + sum(inputs.values()) + max(again, default=0.0)


def _module(layer: str) -> str:
    """The module of a layer that diffusers computes again by itself: a residual block, or a transformer's."""
    parts = layer.split(".")
    for name in ("transformer_blocks", "resnets"):
        if name in parts:
            return ".".join(parts[: parts.index(name) + 2])
    return ""


def _heads(config: Mapping[str, Any]) -> Callable[[int], int]:
    """How many heads attend at a width: diffusers' `attention_head_dim` is their number, for each block or for all."""
    told = config.get("num_attention_heads") or config.get("attention_head_dim") or 8
    if isinstance(told, int):
        return lambda _: told
    by_width: dict[int, int] = dict(zip(config["block_out_channels"], told, strict=False))
    return lambda width: by_width.get(width, max(told))


def _begins(name: str, beginnings: tuple[str, ...]) -> bool:
    return any(name == one or name.startswith(f"{one}.") for one in beginnings)


TEXT_TARGETS = ("q_proj", "k_proj", "v_proj", "out_proj")
"""As in `lora`."""


def _trained_of_texts(shapes: Mapping[str, Shape], settings: TrainSettings) -> int:
    if not settings.frozen:
        return sum(math.prod(shape) for shape in shapes.values())
    layers = [shape for name, shape in shapes.items() if name.endswith(tuple(f".{one}.weight" for one in TEXT_TARGETS))]
    return sum(settings.rank * sum(shape) for shape in layers)


def _kept_of_text(name: str, shape: Shape) -> float:
    """Numbers that a layer of a text encoder keeps of one caption; its own input, whatever is trained of it."""
    if not name.endswith(".weight") or "embedding" in name:
        return 0.0
    return TOKENS * (shape[0] if len(shape) == 1 else sum(shape))


def _width(shapes: Mapping[str, Shape]) -> int:
    return sum(shape[1] for name, shape in shapes.items() if name.endswith("token_embedding.weight"))
