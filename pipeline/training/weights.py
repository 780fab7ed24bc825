"""Weights in files as diffusers reads them, with what they come from in the safetensors header."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from diffusers.utils import convert_state_dict_to_diffusers, convert_unet_state_dict_to_peft
from peft import LoraConfig, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file, save_file

from pipeline.training.settings import TrainSettings

UNET_FILE = "diffusion_pytorch_model.safetensors"
LORA_FILE = "pytorch_lora_weights.safetensors"
"""Names under which diffusers looks in a folder."""


def header(settings: TrainSettings, *, digest: str, more: Mapping[str, str]) -> dict[str, str]:
    """The header of trained weights: the training set's digest, the method, its steps and seed, and the caller's."""
    own = {
        "gesso_trainset_digest": digest,
        "gesso_method": settings.method,
        "gesso_steps": str(settings.steps),
        "gesso_seed": str(settings.seed),
    }
    return {**own, **more}


def save_unet(unet: UNet2DConditionModel, folder: Path, *, header: Mapping[str, str]) -> None:
    """Write the UNet as a folder that `UNet2DConditionModel.from_pretrained` opens."""
    folder.mkdir(parents=True, exist_ok=True)
    unet.save_config(folder)
    _save(unet.state_dict(), folder / UNET_FILE, header)


def load_unet(unet: UNet2DConditionModel, folder: Path) -> None:
    """Fill the UNet with what `save_unet` wrote of one of the same shape."""
    unet.load_state_dict(load_file(folder / UNET_FILE))


def save_lora(unet: UNet2DConditionModel, folder: Path, *, config: LoraConfig, header: Mapping[str, str]) -> None:
    """Write the UNet's adapter as a file that `load_lora_weights` of diffusers' pipelines opens, alpha included.

    The configuration goes to `lora_adapter_metadata` with those fields alone that any release of peft knows.
    """
    folder.mkdir(parents=True, exist_ok=True)
    layers = convert_state_dict_to_diffusers(get_peft_model_state_dict(unet))
    fields = {
        "unet.r": config.r,
        "unet.lora_alpha": config.lora_alpha,
        "unet.lora_dropout": config.lora_dropout,
        "unet.target_modules": sorted(config.target_modules),
        "unet.bias": "none",
    }
    metadata = {**header, "lora_adapter_metadata": json.dumps(fields, indent=2, sort_keys=True)}
    _save({f"unet.{name}": value for name, value in layers.items()}, folder / LORA_FILE, metadata)


def load_lora(unet: UNet2DConditionModel, folder: Path) -> None:
    """Fill the UNet's adapter with what `save_lora` wrote of one of the same shape."""
    layers = {name.removeprefix("unet."): value for name, value in load_file(folder / LORA_FILE).items()}
    set_peft_model_state_dict(unet, convert_unet_state_dict_to_peft(layers))


def _save(tensors: Mapping[str, Any], path: Path, header: Mapping[str, str]) -> None:
    plain: dict[str, torch.Tensor] = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    save_file(plain, path, metadata={"format": "pt", **header})
