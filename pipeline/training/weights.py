"""Weights in files as diffusers reads them, with what they come from in the safetensors header."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import ModelMixin, UNet2DConditionModel
from diffusers.utils import (
    convert_state_dict_to_diffusers,
    convert_state_dict_to_kohya,
    convert_unet_state_dict_to_peft,
)
from peft import LoraConfig, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file, save_file

from pipeline.training import kohya
from pipeline.training.settings import TrainSettings

DIFFUSERS_FILE, TRANSFORMERS_FILE = "diffusion_pytorch_model.safetensors", "model.safetensors"
LORA_FILE = "pytorch_lora_weights.safetensors"
"""Names under which diffusers and transformers look in a folder."""
KOHYA_FILE = "kohya.safetensors"
SDXL_HEADER = {
    "ss_base_model_version": "sdxl_base_v1-0",
    "modelspec.architecture": "stable-diffusion-xl-v1-base/lora",
}
"""What other programs know an adapter for SDXL by."""


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
    _save({name: value for name, value in model.state_dict().items() if name not in tied}, _file(model, folder), header)


def load_model(model: Any, folder: Path) -> None:  # noqa: ANN401
    """Fill a model with what `save_model` wrote of one of the same shape."""
    stored = load_file(_file(model, folder))
    tied: Mapping[str, str] = getattr(model, "all_tied_weights_keys", {})
    model.load_state_dict({**stored, **{name: stored[kept] for name, kept in tied.items()}})


def save_lora(unet: UNet2DConditionModel, folder: Path, *, config: LoraConfig, header: Mapping[str, str]) -> None:
    """Write the UNet's adapter as a file that `load_lora_weights` of diffusers' pipelines opens, alpha included.

    The configuration goes to `lora_adapter_metadata` with those fields alone that any release of peft knows.
    """
    folder.mkdir(parents=True, exist_ok=True)
    layers: dict[str, torch.Tensor] = get_peft_model_state_dict(unet)
    converted = convert_state_dict_to_diffusers(layers)
    # diffusers renames attention alone, and drops it silently when it reads a file with both kinds of names
    if not any(".lora_A." in name for name in converted):
        layers = converted
    fields = {
        "unet.r": config.r,
        "unet.lora_alpha": config.lora_alpha,
        "unet.lora_dropout": config.lora_dropout,
        "unet.target_modules": sorted(config.target_modules),
        "unet.bias": "none",
    }
    metadata = {**header, "lora_adapter_metadata": json.dumps(fields, indent=2, sort_keys=True)}
    _save({f"unet.{name}": value for name, value in layers.items()}, folder / LORA_FILE, metadata)


def save_kohya(unet: UNet2DConditionModel, folder: Path, *, config: LoraConfig, header: Mapping[str, str]) -> None:
    """Write the UNet's adapter in the layout of kohya's sd-scripts, an alpha for each layer, for other programs.

    That of an SDXL model has the layers' names in SDXL's original code, as sd-scripts writes them.
    """
    layers = {f"unet.{_kohyas(name, unet)}": value for name, value in get_peft_model_state_dict(unet).items()}
    converted: dict[str, torch.Tensor] = convert_state_dict_to_kohya(layers)
    # diffusers writes the rank for alpha
    alphas = {name: torch.tensor(float(config.lora_alpha)) for name in converted if name.endswith(".alpha")}
    network = {
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(config.r),
        "ss_network_alpha": str(float(config.lora_alpha)),
        **(SDXL_HEADER if kohya.is_sdxl(unet) else {}),
    }
    _save({**converted, **alphas}, folder / KOHYA_FILE, {**network, **header})


def load_lora(unet: UNet2DConditionModel, folder: Path) -> None:
    """Fill the UNet's adapter with what `save_lora` wrote of one of the same shape."""
    layers = {name.removeprefix("unet."): value for name, value in load_file(folder / LORA_FILE).items()}
    set_peft_model_state_dict(unet, convert_unet_state_dict_to_peft(layers))


def _kohyas(name: str, unet: UNet2DConditionModel) -> str:
    layer, dot, side = name.partition(".lora_")
    return f"{kohya.original(layer, unet) if kohya.is_sdxl(unet) else layer}{dot}{side}"


def _file(model: Any, folder: Path) -> Path:  # noqa: ANN401 - diffusers and transformers have no types
    return folder / (DIFFUSERS_FILE if isinstance(model, ModelMixin) else TRANSFORMERS_FILE)


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
