"""A folder of diffusers as a single file in the layout of the original code, which web UIs and other trainers open."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from pipeline import atomic
from pipeline.errors import InputError, ModelError
from pipeline.original import kinds, parts, slots
from pipeline.original.kinds import Kind


def write(folder: Path, target: Path, *, header: Mapping[str, str] | None = None) -> Kind:
    """Write the base model in `folder` to the file `target`; number formats stay as they are.

    Stable Diffusion 2's text encoder has one layer less in diffusers, the last, whose answer no UNet reads: other
    programs look for it, so the one before stands in its place, as in sd-scripts.

    Raises:
        InputError: `target` is there already.
        ModelError: the model has layers that the original code does not, or lacks some of its own.
    """
    if target.exists():
        raise InputError("it is there already", field="--to", value=str(target), remedy="Name a new file.")
    kind = kinds.of_unet(parts.config(folder, "unet"))
    found: dict[str, Tensor] = {}
    for part in ("unet", "vae", *kind.texts):
        try:
            known = slots.of_part(kind, part, parts.config(folder, part))
        except (ValueError, KeyError) as error:
            raise ModelError(
                f"its {part} has layers that single files do not have ({error})",
                field=part,
                value=str(folder),
                remedy="Use it as a folder.",
            ) from error
        with parts.weights(folder, part) as values:
            lacking = [name for slot in known for name in slot.names if name not in values]
            if lacking:
                raise ModelError(
                    f"its {part} has no {lacking[0]}, which its config.json asks for",
                    field=part,
                    value=str(folder),
                    remedy="Get the whole model again.",
                )
            found |= {slot.original: slot.together(values) for slot in known}
    if kind is kinds.SD2:
        found |= _last_layer(found, kind)
    told = parts.noise(folder)
    velocity = told.get("prediction_type", "epsilon") == "v_prediction"
    if kind is kinds.SDXL:
        marks = {kinds.V_MARK: velocity, kinds.ZERO_MARK: bool(told.get("rescale_betas_zero_snr"))}
        found |= {name: torch.zeros(0) for name, is_so in marks.items() if is_so}
    named = {"modelspec.sai_model_spec": "1.0.0", "modelspec.architecture": spec(kind, velocity=velocity)}
    named |= {"modelspec.implementation": "https://github.com/Stability-AI/generative-models"}
    named |= {"modelspec.prediction_type": "v" if velocity else "epsilon", "modelspec.title": target.stem}
    with atomic.file(target) as part_file:
        save_file(found, part_file, metadata={"format": "pt", **named, **(header or {})})
    return kind


def spec(kind: Kind, *, velocity: bool) -> str:
    """A kind's name in modelspec.architecture; Stable Diffusion 2 has one for each prediction."""
    return "stable-diffusion-v2-768-v" if kind is kinds.SD2 and velocity else kind.spec


def _last_layer(found: Mapping[str, Tensor], kind: Kind) -> dict[str, Tensor]:
    start, _ = kind.texts["text_encoder"]
    blocks = f"{start}transformer.resblocks."
    last = max(int(name.removeprefix(blocks).partition(".")[0]) for name in found if name.startswith(blocks))
    return {
        name.replace(f"{blocks}{last}.", f"{blocks}{last + 1}."): value.clone()
        for name, value in found.items()
        if name.startswith(f"{blocks}{last}.")
    }
