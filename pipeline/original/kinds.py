"""What a single file holds, told from its header alone: which architecture, what its UNet predicts. Loads no torch."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from pipeline import families, headers
from pipeline.errors import ModelError
from pipeline.families import Family

SUFFIX = ".safetensors"
UNET, VAE = "model.diffusion_model.", "first_stage_model."
"""What names in a single file begin with, by part; text encoders are in `Kind.texts`."""
PREDICTIONS = {"epsilon": "epsilon", "eps": "epsilon", "v": "v_prediction", "v_prediction": "v_prediction"}
"""Words for what a UNet predicts: modelspec's and the original configurations', diffusers' own."""
V_MARK, ZERO_MARK = "v_pred", "ztsnr"
"""Empty tensors by which SDXL models that predict velocity, or end in noise alone, are known to the web UIs."""


@dataclass(frozen=True)
class Kind:
    """An architecture as it was published."""

    name: str
    title: str
    family: Family
    spec: str
    """Its name in modelspec.architecture (github.com/Stability-AI/ModelSpec)."""
    texts: Mapping[str, tuple[str, bool]]
    """What names of each text encoder begin with, and whether it is one of open_clip's."""
    guess: str | None
    """What its UNet predicts where nothing says; None where published models differ."""

    @property
    def published(self) -> dict[str, Any]:
        """The published configuration of each part: unet, vae, scheduler, and the text encoders."""
        return _published(self.name)


SD1 = Kind(
    "sd1",
    "Stable Diffusion 1",
    families.SD,
    "stable-diffusion-v1",
    {"text_encoder": ("cond_stage_model.transformer.", False)},
    "epsilon",
)
SD2 = Kind(
    "sd2",
    "Stable Diffusion 2",
    families.SD,
    "stable-diffusion-v2-512",
    {"text_encoder": ("cond_stage_model.model.", True)},
    None,
)
SDXL = Kind(
    "sdxl",
    "Stable Diffusion XL",
    families.SDXL,
    "stable-diffusion-xl-v1-base",
    {
        "text_encoder": ("conditioner.embedders.0.transformer.", False),
        "text_encoder_2": ("conditioner.embedders.1.model.", True),
    },
    "epsilon",
)
KINDS = (SD1, SD2, SDXL)
OTHERS = {
    "conditioner.embedders.0.model.": "SDXL's refiner is not supported",
    "control_model.": "it is a ControlNet",
    "model.diffusion_model.joint_blocks.": "Stable Diffusion 3 is not supported",
    "model.diffusion_model.double_blocks.": "Flux is not supported",
    "double_blocks.": "Flux is not supported",
    "lora_": "it is an adapter, not a base model",
    "unet.": "it is an adapter, not a base model",
    "base_model.model.": "it is an adapter, not a base model",
    "emb_params": "it is a textual inversion, not a base model",
    "down_blocks.": "it is a UNet alone, in diffusers' layout",
    "input_blocks.": "it is a UNet alone",
    "encoder.": "it is a VAE alone",
    "text_model.": "it is a text encoder alone",
}
"""What names of tensors begin with in files of other models."""


@dataclass(frozen=True)
class Found:
    """What a single file is; `prediction` is None where nothing says."""

    kind: Kind
    prediction: str | None
    zero_terminal_snr: bool


def is_file(reference: str) -> bool:
    """Whether a reference names a single file."""
    path = Path(reference).expanduser()
    return path.suffix == SUFFIX and path.is_file()


def look(path: Path, *, field: str = "base_model.id") -> Found:
    """What the single file at `path` is.

    What its UNet predicts is said by modelspec in the header, by the tensors that the web UIs know, or by a
    configuration of the original code beside it (NAME.yaml); see `Kind.guess` for where none does.

    Raises:
        ModelError: it is no safetensors file, cut off, or holds something else than a whole base model.
    """
    try:
        header = headers.read(path)
    except headers.HeaderError as error:
        raise ModelError(
            str(error),
            field=field,
            value=str(path),
            remedy="Name the whole .safetensors file of the model; pickles are not opened.",
        ) from error
    kind = _kind(header, path, field)
    prediction = _prediction(header, path)
    rescaled = ZERO_MARK in header.tensors or header.metadata.get("ss_zero_terminal_snr") == "True"
    return Found(kind, prediction or kind.guess, rescaled)


def of_unet(config: Mapping[str, Any]) -> Kind:
    """The kind that a UNet of diffusers belongs to, by its configuration; any smaller one of the same make, too."""
    if config.get("addition_embed_type") == "text_time":
        return SDXL
    return SD2 if config.get("use_linear_projection") else SD1


def of_spec(said: str) -> Kind | None:
    """The kind that modelspec.architecture names, of a whole model or of an adapter for it."""
    starts = {"stable-diffusion-v1": SD1, "stable-diffusion-v2": SD2, "stable-diffusion-xl-v1-base": SDXL}
    return next((kind for start, kind in starts.items() if said.startswith(start)), None)


def _kind(header: headers.Header, path: Path, field: str) -> Kind:
    names = header.tensors
    lacking = ""
    for kind in reversed(KINDS):
        wanted = {"unet": UNET, "vae": VAE, **{name: start for name, (start, _) in kind.texts.items()}}
        there = {part for part, start in wanted.items() if any(name.startswith(start) for name in names)}
        if len(there) == len(wanted):
            _check_channels(header, path, field)
            return kind
        if {"unet", *kind.texts} & there == {"unet", *kind.texts}:
            lacking = f"it has no {', '.join(sorted(set(wanted) - there))}"
    known = (what for start, what in OTHERS.items() if any(name.startswith(start) for name in names))
    raise ModelError(
        lacking or next(known, "it is no base model of a kind that is known"),
        field=field,
        value=str(path),
        remedy="Name a whole model (UNet, VAE and text encoders) of Stable Diffusion 1, 2 or XL.",
    )


def _check_channels(header: headers.Header, path: Path, field: str) -> None:
    first = header.tensors.get(f"{UNET}input_blocks.0.0.weight")
    if first is not None and first.shape[1] != 4:
        raise ModelError(
            f"its UNet reads {first.shape[1]} channels: it inpaints, or is guided by a picture",
            field=field,
            value=str(path),
            remedy="Name a model that paints from text alone.",
        )


def _prediction(header: headers.Header, path: Path) -> str | None:
    told = header.metadata
    if said := PREDICTIONS.get(told.get("modelspec.prediction_type", "").lower()):
        return said
    if V_MARK in header.tensors:
        return "v_prediction"
    if told.get("modelspec.architecture", "").startswith("stable-diffusion-v2"):
        return "v_prediction" if told["modelspec.architecture"].startswith("stable-diffusion-v2-768-v") else "epsilon"
    return _beside(path.with_suffix(".yaml"))


def _beside(path: Path) -> str | None:
    """What a configuration of the original code says."""
    try:
        params = yaml.safe_load(path.read_text(encoding="utf-8"))["model"]["params"]
        scaling = str(params.get("denoiser_config", {}).get("params", {}).get("scaling_config", {}).get("target", ""))
        said = params.get("parameterization", {"VScaling": "v", "EpsScaling": "eps"}.get(scaling.rpartition(".")[2]))
        # the original code's own default
        return PREDICTIONS.get(str("eps" if said is None else said))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError):
        return None


@cache
def _published(name: str) -> dict[str, Any]:
    text = (Path(__file__).parent / "published" / f"{name}.json").read_text(encoding="utf-8")
    return dict(json.loads(text))
