"""The one place where weights are loaded: pinned revision, device, number format, safetensors only.

`model_files` says what a *reference* may be and where its files lie. Frozen models (VAE, text
encoder, CLIP, BLIP) are kept between calls, one of each kind and two text encoders, as SDXL has; what is trained, and a
pipeline, is loaded anew for every caller.
"""

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DDPMScheduler,
    DiffusionPipeline,
    ModelMixin,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from diffusers.utils import logging as diffusers_logging
from torch import nn
from transformers import (
    Blip2ForConditionalGeneration,
    Blip2Processor,
    BlipForConditionalGeneration,
    BlipProcessor,
    CLIPModel,
    CLIPProcessor,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
)
from transformers.utils import logging as transformers_logging

from pipeline import families, keeping
from pipeline.errors import ModelError, RecipeError
from pipeline.lavis import client as lavis
from pipeline.model_files import locate as locate
from pipeline.model_files import weights_hash as weights_hash
from pipeline.training.painter import Painter, Reader, TextEncoders
from pipeline.training.precision import compute_in

# parts load in seconds, and a bar for each would drown what a run has to say
diffusers_logging.disable_progress_bar()
transformers_logging.disable_progress_bar()

_TRAINABLE = {
    "unet": UNet2DConditionModel,
    "vae": AutoencoderKL,
    "clip": CLIPModel,
    "blip": BlipForConditionalGeneration,
}
_CAPTIONERS: dict[str, tuple[Any, Any]] = {
    "blip": (BlipForConditionalGeneration, BlipProcessor),
    "blip-2": (Blip2ForConditionalGeneration, Blip2Processor),
}
_PIPELINES: dict[str, tuple[Any, dict[str, Any]]] = {
    "sd": (StableDiffusionPipeline, {"safety_checker": None, "requires_safety_checker": False}),
    "sdxl": (StableDiffusionXLPipeline, {"add_watermarker": False}),
}
"""A family's pipeline, and what it is told to leave out."""


def device_of(name: str) -> str:
    """The device that a name stands for: `auto` is a GPU where there is one, else the CPU; others are themselves."""
    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"


def dtype_of(name: str, device: str) -> str:
    """The number format that a name stands for on a device: `auto` is half the bytes where the device computes so.

    That is bfloat16, on an older GPU float16, and float32 on a CPU, which gains nothing by it.
    """
    if name != "auto":
        return name
    if not device.startswith("cuda"):
        return "float32"
    return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"


def load_trainable(learns: str, folder: Path, *, device: str = "cpu", seed: int | None = None) -> Any:  # noqa: ANN401
    """The `unet` or `vae` of a located diffusers folder, or the `clip` or `blip` in it: a new object, in float32.

    With a `seed` its weights are not read but drawn, the same for the same seed; the folder gives the architecture.
    """
    kind: Any = _TRAINABLE[learns]
    place = folder / learns if learns in ("unet", "vae") else folder
    if seed is None:
        return kind.from_pretrained(place, **_how("float32")).to(device_of(device))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if issubclass(kind, ModelMixin):
            model = kind.from_config(kind.load_config(place, local_files_only=True))
        else:
            model = kind(kind.config_class.from_pretrained(place, local_files_only=True))
    # a configuration may ask for another number format
    return model.to(device_of(device), torch.float32)


def load_processor(learns: str, folder: Path) -> CLIPProcessor | BlipProcessor:
    """The tokenizer and image processor of the `clip` or `blip` in a located folder."""
    kind = CLIPProcessor if learns == "clip" else BlipProcessor
    return kind.from_pretrained(folder, local_files_only=True)


def load_vae(
    reference: str, *, revision: str | None = None, device: str = "cpu", dtype: str = "float32"
) -> AutoencoderKL:
    """The base model's VAE, frozen and kept."""
    folder = locate(reference, revision, untrained="unet")
    return _vae(folder, weights_hash(folder, "vae"), device, dtype)


def load_text_encoder(
    reference: str,
    *,
    revision: str | None = None,
    part: str = "text_encoder",
    device: str = "cpu",
    dtype: str = "float32",
) -> tuple[CLIPTextModel | CLIPTextModelWithProjection, CLIPTokenizer]:
    """One of the base model's text encoders (see `families`) and its tokenizer, frozen and kept.

    SDXL's second is a CLIPTextModelWithProjection: it sums a caption up in one vector, too.
    """
    folder = locate(reference, revision, untrained="unet")
    return _text_encoder(folder, part, weights_hash(folder, part), device, dtype)


def load_painter(
    reference: str,
    *,
    revision: str | None = None,
    device: str = "cpu",
    seed: int | None = None,
    reads: bool = False,
    precision: str = "no",
    frozen: bool = False,
) -> Painter:
    """The base model's UNet in float32, to be trained; with a `seed` its weights are drawn, as in `load_trainable`.

    Where it `reads`, the text encoders come along, unfrozen. `precision` and `frozen` are of `training.precision`.
    """
    folder = locate(reference, revision, untrained="unet" if seed is not None else None)
    unet = load_trainable("unet", folder, seed=seed)  # halved before it takes room on a device
    compute_in(unet, precision, frozen=frozen)
    texts = load_texts(reference, revision=revision, device=device) if reads else None
    return Painter(unet.to(device_of(device)), texts, zeros=families.nothing_is_zeros(folder))


def load_texts(reference: str, *, revision: str | None = None, device: str = "cpu") -> TextEncoders:
    """All text encoders of the base model, in float32 and new, to be at work in a training."""
    own = families.of(folder := locate(reference, revision, untrained="unet"))
    readers = {part: _reader(folder, part, device, "float32") for part in own.text_encoders}
    return TextEncoders(readers, penultimate=own.penultimate)


def load_scheduler(reference: str, *, revision: str | None = None, zero_terminal_snr: bool = False) -> DDPMScheduler:
    """The base model's noise schedule as training needs it: DDPM, whichever sampler the model names.

    With `zero_terminal_snr` (or where the model's own schedule says `rescale_betas_zero_snr`) it is rescaled so that
    the last timestep is noise alone (Lin et al. 2023, algorithm 1).

    Raises:
        RecipeError: `zero_terminal_snr` for a model that predicts noise, which tells nothing of a picture there.
    """
    folder = locate(reference, revision, untrained="unet") / "scheduler"
    known = DDPMScheduler().config
    config = DDPMScheduler.load_config(folder, local_files_only=True)
    wanted = {name: value for name, value in config.items() if name in known}
    if zero_terminal_snr:
        if wanted.get("prediction_type", "epsilon") == "epsilon":
            raise RecipeError(
                "a model that predicts noise cannot begin with noise alone",
                field="train.zero_terminal_snr",
                value=True,
                remedy="Take a base model whose scheduler has prediction_type v_prediction, or leave it out.",
            )
        wanted["rescale_betas_zero_snr"] = True
    return DDPMScheduler.from_config(wanted)


def load_pipeline(
    reference: str,
    *,
    revision: str | None = None,
    painter: Painter | None = None,
    zero_terminal_snr: bool = False,
    device: str = "cpu",
    dtype: str = "float32",
) -> DiffusionPipeline:
    """The family's pipeline for sampling, without safety checker, watermark and progress bar.

    The `painter`'s UNet, text encoders and tokenizers take the place of the model's own.

    Where the last timestep is noise alone (see `load_scheduler`) it samples with DDIM from that very timestep on, as
    Lin et al. 2023 do: other samplers of diffusers do not know such a schedule, or begin a little before its end.
    """
    own = {} if painter is None else painter.parts | painter.tokenizers
    folder = locate(reference, revision, untrained="unet" if own else None)
    kind, without = _PIPELINES[families.of(folder).name]
    pipeline = kind.from_pretrained(folder, feature_extractor=None, **without, **own, **_how(dtype))
    pipeline.set_progress_bar_config(disable=True)
    if zero_terminal_snr or pipeline.scheduler.config.get("rescale_betas_zero_snr"):
        pipeline.scheduler = DDIMScheduler.from_config(
            pipeline.scheduler.config, rescale_betas_zero_snr=True, timestep_spacing="trailing", clip_sample=False
        )
    return pipeline.to(device_of(device))


def load_clip(
    reference: str,
    *,
    revision: str | None = None,
    device: str = "cpu",
    dtype: str = "float32",
    field: str = "evaluate.clip",
) -> tuple[CLIPModel, CLIPProcessor]:
    """A CLIP and its processor, frozen and kept."""
    folder = locate(reference, revision, part="clip", field=field)
    return _clip(folder, weights_hash(folder), device, dtype)


def load_blip(
    reference: str,
    *,
    revision: str | None = None,
    device: str = "cpu",
    dtype: str = "float32",
    field: str = "caption.model",
) -> tuple[Any, Any]:
    """A captioner, BLIP or BLIP-2, and its processor, frozen and kept.

    Raises:
        ModelError: it is not there and cannot be had, or is of another kind.
    """
    folder = locate(reference, revision, part="blip", field=field)
    kind = str(json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type"))
    if kind not in _CAPTIONERS:
        raise ModelError(
            "this is no BLIP captioner",
            field=field,
            value=reference,
            remedy=f"Its config.json has model_type {kind}; {' and '.join(_CAPTIONERS)} do.",
        )
    return _blip(folder, kind, weights_hash(folder), device, dtype)


def release() -> None:
    """Let go of the models that are kept, here and elsewhere, to make room for a training."""
    keeping.release()
    lavis.release()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@keeping.kept(1)
def _vae(folder: Path, _hash: str, device: str, dtype: str) -> AutoencoderKL:
    return _frozen(AutoencoderKL.from_pretrained(folder / "vae", **_how(dtype)), device)


@keeping.kept(2)
def _text_encoder(
    folder: Path, part: str, _hash: str, device: str, dtype: str
) -> tuple[CLIPTextModel | CLIPTextModelWithProjection, CLIPTokenizer]:
    reader = _reader(folder, part, device, dtype)
    return _frozen(reader.encoder, device), reader.tokenizer


@keeping.kept(1)
def _clip(folder: Path, _hash: str, device: str, dtype: str) -> tuple[CLIPModel, CLIPProcessor]:
    model = CLIPModel.from_pretrained(folder, **_how(dtype))
    return _frozen(model, device), CLIPProcessor.from_pretrained(folder, local_files_only=True)


@keeping.kept(1)
def _blip(folder: Path, kind: str, _hash: str, device: str, dtype: str) -> tuple[Any, Any]:
    model, processor = _CAPTIONERS[kind]
    loaded = model.from_pretrained(folder, **_how(dtype))
    return _frozen(loaded, device), processor.from_pretrained(folder, local_files_only=True)


def _reader(folder: Path, part: str, device: str, dtype: str) -> Reader:
    kind = CLIPTextModel if part == "text_encoder" else CLIPTextModelWithProjection
    words = CLIPTokenizer.from_pretrained(folder / families.tokenizer_of(part), local_files_only=True)
    return Reader(kind.from_pretrained(folder / part, **_how(dtype)).to(device_of(device)), words)


def _how(dtype: str) -> dict[str, Any]:
    return {"dtype": getattr(torch, dtype), "use_safetensors": True, "local_files_only": True}


def _frozen(model: Any, device: str) -> Any:  # noqa: ANN401 - diffusers and transformers have no types
    kept: nn.Module = model.to(device_of(device)).eval()
    return kept.requires_grad_(False)  # noqa: FBT003 - torch's own signature
