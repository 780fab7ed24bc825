"""Weights in files as diffusers reads them, with what they come from in the safetensors header."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import ModelMixin
from diffusers.utils import (
    convert_state_dict_to_diffusers,
    convert_unet_state_dict_to_peft,
)
from peft import LoraConfig, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel

from pipeline.original import kinds
from pipeline.training import dora, kohya, modelspec
from pipeline.training.settings import TrainSettings

DIFFUSERS_FILE, TRANSFORMERS_FILE = "diffusion_pytorch_model.safetensors", "model.safetensors"
LORA_FILE = "pytorch_lora_weights.safetensors"
"""Names under which diffusers and transformers look in a folder."""
KOHYA_FILE = "kohya.safetensors"
TEXT_MODEL = "text_model."


def header(settings: TrainSettings, *, digest: str, more: Mapping[str, str]) -> dict[str, str]:
    """The header of trained weights: the training set's digest, the method, its steps and seed, and the caller's.

    A rescaled noise schedule is told as sd-scripts tells it, since whoever samples has to know.
    """
    own = {
        "gesso_trainset_digest": digest,
        "gesso_method": settings.method,
        "gesso_steps": str(settings.steps),
        "gesso_seed": str(settings.seed),
    }
    if settings.zero_terminal_snr:
        own["ss_zero_terminal_snr"] = "True"
    return {**own, **more}


def save_model(model: Any, folder: Path, *, header: Mapping[str, str]) -> None:  # noqa: ANN401 - see `_file`
    """Write a model as a folder that its class' `from_pretrained` opens; of weights that are tied, one."""
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(model, ModelMixin):
        model.save_config(folder)
    else:
        model.config.save_pretrained(folder)
    tied = set(getattr(model, "all_tied_weights_keys", ()))
    kept = {_published(name, model): value for name, value in model.state_dict().items() if name not in tied}
    _save(kept, _file(model, folder), header)


def load_model(model: Any, folder: Path) -> None:  # noqa: ANN401
    """Fill a model with what `save_model` wrote of one of the same shape."""
    stored = {_inside(name, model): value for name, value in load_file(_file(model, folder)).items()}
    tied: Mapping[str, str] = getattr(model, "all_tied_weights_keys", {})
    model.load_state_dict({**stored, **{name: stored[kept] for name, kept in tied.items()}})


def save_lora(
    adapted: Mapping[str, Any],
    folder: Path,
    *,
    config: LoraConfig,
    header: Mapping[str, str],
    prediction: str = "epsilon",
) -> None:
    """Write adapters as a file that `load_lora_weights` of diffusers' pipelines opens, alpha included.

    `adapted` are models with an adapter by their folders' names: the UNet and any text encoders. The configuration
    goes to `lora_adapter_metadata` with those fields alone that any release of peft knows. `prediction` is what the
    UNet was trained to predict.
    """
    folder.mkdir(parents=True, exist_ok=True)
    layers: dict[str, torch.Tensor] = {}
    fields: dict[str, Any] = {}
    for part, model in adapted.items():
        layers |= {f"{part}.{name}": value for name, value in _layers(model).items()}
        there = next(iter(model.peft_config.values()))
        own = {
            "r": config.r,
            "lora_alpha": config.lora_alpha,
            "lora_dropout": config.lora_dropout,
            "target_modules": sorted(there.target_modules),
            "bias": "none",
            **({"rank_pattern": there.rank_pattern} if there.rank_pattern else {}),
            **({"alpha_pattern": there.alpha_pattern} if there.alpha_pattern else {}),
            **({"use_dora": True} if there.use_dora else {}),
        }
        fields |= {f"{part}.{name}": value for name, value in own.items()}
    spec = modelspec.of(kinds.of_unet(adapted["unet"].config), "lora", layout="diffusers", prediction=prediction)
    metadata = {**spec, **header, "lora_adapter_metadata": json.dumps(fields, indent=2, sort_keys=True)}
    _save(layers, folder / LORA_FILE, metadata)


def save_kohya(
    adapted: Mapping[str, Any],
    folder: Path,
    *,
    config: LoraConfig,
    header: Mapping[str, str],
    prediction: str = "epsilon",
) -> None:
    """Write adapters in the layout of kohya's sd-scripts, an alpha for each layer, for other programs.

    The layers of SDXL's UNet have their names in SDXL's original code, as sd-scripts writes them; its text encoders are
    lora_te1 and lora_te2 there, that of Stable Diffusion is lora_te. DoRA's magnitudes are named as LyCORIS names them.
    """
    unet = adapted["unet"]
    converted: dict[str, torch.Tensor] = {}
    alphas: dict[str, torch.Tensor] = {}
    for part, model in adapted.items():
        own = next(iter(model.peft_config.values()))
        matrices, magnitudes = dora.parted(get_peft_model_state_dict(model))
        for name, value in matrices.items():
            layer, _, side = name.partition(".lora_")
            key = _kohyas(layer, part, model, sdxl=kohya.is_sdxl(unet))
            converted[f"{key}.lora_{'down' if side.startswith('A') else 'up'}.weight"] = value
            alphas[f"{key}.alpha"] = torch.tensor(float(own.alpha_pattern.get(layer, config.lora_alpha)))
        for layer, value in magnitudes.items():
            key = _kohyas(layer, part, model, sdxl=kohya.is_sdxl(unet))
            converted[f"{key}{dora.KOHYAS}"] = dora.scale_of(value)
    kind, tensors = kinds.of_unet(unet.config), {**converted, **alphas}
    told = {
        **modelspec.of(kind, "lora", layout="kohya", prediction=prediction),
        **modelspec.base(kind, prediction=prediction),
        **modelspec.network(rank=config.r, alpha=float(config.lora_alpha)),
        **header,
    }
    _save(tensors, folder / KOHYA_FILE, {**told, **modelspec.hashes(tensors, told)})


def load_lora(adapted: Mapping[str, Any], folder: Path) -> None:
    """Fill the models' adapters with what `save_lora` wrote of some of the same shape."""
    stored = load_file(folder / LORA_FILE)
    for part, model in adapted.items():
        own = {name.removeprefix(f"{part}."): one for name, one in stored.items() if name.startswith(f"{part}.")}
        if part == "unet":
            own = convert_unet_state_dict_to_peft(own)
        set_peft_model_state_dict(model, {_inside(name, model): value for name, value in own.items()})


def _layers(model: Any) -> dict[str, torch.Tensor]:  # noqa: ANN401
    """An adapter's matrices by the names that diffusers' pipelines look for."""
    layers: dict[str, torch.Tensor] = get_peft_model_state_dict(model)
    text = not isinstance(model, ModelMixin)
    return named({_published(name, model): value for name, value in layers.items()} if text else layers, text=text)


def named(layers: dict[str, torch.Tensor], *, text: bool) -> dict[str, torch.Tensor]:
    """An adapter's matrices, by peft's names, by those that diffusers' pipelines look for in a UNet or text encoder."""
    if text:
        # as peft 0.21 names them, transformers 5 passes over magnitudes silently; older releases read both names
        return {f"{name}.weight" if name.endswith(dora.PEFTS) else name: value for name, value in layers.items()}
    converted: dict[str, torch.Tensor] = convert_state_dict_to_diffusers(layers)
    # diffusers renames attention alone, and drops it silently when it reads a file with both kinds of names
    return layers if any(".lora_A." in name for name in converted) else converted


def _published(name: str, model: Any) -> str:  # noqa: ANN401
    """A parameter's name in published files; transformers 5 itself has left out `text_model` around a lone encoder."""
    return f"{TEXT_MODEL}{name}" if isinstance(model, CLIPTextModel) and not name.startswith(TEXT_MODEL) else name


def _inside(name: str, model: Any) -> str:  # noqa: ANN401
    """A parameter's name in the model, by that in published files."""
    return name.removeprefix(TEXT_MODEL) if isinstance(model, CLIPTextModel) else name


def _kohyas(layer: str, part: str, model: Any, *, sdxl: bool) -> str:  # noqa: ANN401
    """A layer's name in kohya's layout."""
    if part != "unet":
        prefix, named = kohya.PREFIXES[part] if sdxl else kohya.ALONE, _published(layer, model)
    else:
        prefix, named = kohya.PREFIXES[part], kohya.original(layer, model) if sdxl else layer
    return f"{prefix}_{named.replace('.', '_')}"


def _file(model: Any, folder: Path) -> Path:  # noqa: ANN401 - diffusers and transformers have no types
    return folder / (DIFFUSERS_FILE if isinstance(model, ModelMixin) else TRANSFORMERS_FILE)


def save(tensors: Mapping[str, torch.Tensor], path: Path, header: Mapping[str, str]) -> None:
    """Write a file of tensors whose bytes depend on them and the header alone."""
    _save(tensors, path, header)


def _save(tensors: Mapping[str, Any], path: Path, header: Mapping[str, str]) -> None:
    plain: dict[str, torch.Tensor] = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    save_file(plain, path, metadata={"format": "pt", **header})
    _sort_header(path)


def _sort_header(path: Path) -> None:
    """Bring a safetensors file's header into one order, which its writer draws anew each time."""
    with path.open("r+b") as file:
        size = int.from_bytes(file.read(8), "little")
        written = json.loads(file.read(size))
        written["__metadata__"] = dict(sorted(written["__metadata__"].items()))
        text = json.dumps(written, separators=(",", ":"), ensure_ascii=False).encode()
        if len(text) > size:
            raise ValueError(f"the header of {path} grew")
        file.seek(8)
        file.write(text.ljust(size))
