"""The one place where weights are found and loaded: pinned revision, device, number format, safetensors only.

A *reference* is `starter` (the small models that ship with gesso), a folder as diffusers or transformers save it, one
`.safetensors` file of Stable Diffusion, or a hub id such as `owner/name` with its revision. Frozen models (VAE, text
encoder, CLIP, BLIP) are kept between calls, one of each kind; a UNet or a pipeline is loaded anew for every caller.
"""

import functools
import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDPMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.utils import logging as diffusers_logging
from torch import nn
from transformers import (
    BlipForConditionalGeneration,
    BlipProcessor,
    CLIPModel,
    CLIPProcessor,
    CLIPTextModel,
    CLIPTokenizer,
)
from transformers.utils import logging as transformers_logging

from pipeline.errors import ModelError
from pipeline.hub import UNWANTED, download, is_id

STARTER = Path(__file__).parent / "starter" / "weights"
PARTS = {"base": "sd", "clip": "clip", "blip": "blip"}
"""What a reference may be wanted for, and the starter's folder for it."""

FILES = ("*.json", "*.txt", "*.safetensors")
BASE_FILES = ("model_index.json", "*/*.json", "*/*.txt", "*/*.safetensors")
"""What is fetched from the hub: a base model's parts, not the single files beside them."""

# parts load in seconds, and a bar for each would drown what a run has to say
diffusers_logging.disable_progress_bar()
transformers_logging.disable_progress_bar()

_hashes: dict[tuple[str, int, int], str] = {}


def locate(reference: str, revision: str | None = None, *, part: str = "base", field: str = "base_model.id") -> Path:
    """The folder of a model, downloaded if it must be.

    `part` is what the model is wanted for: `base` (Stable Diffusion), `clip` or `blip`; `field` is where the recipe
    names it. Raises ModelError where it is not there and cannot be had, is of another kind, or has only pickles.
    """
    path = Path(reference).expanduser()
    if reference == "starter":
        folder = STARTER / PARTS[part]
        if not folder.is_dir():
            raise ModelError(
                "the starter models are not in this installation",
                field=field,
                value=reference,
                remedy="Build them with `gesso starter build`, or name another model.",
            )
    elif path.is_dir():
        folder = path.resolve()
    elif path.suffix in (".ckpt", ".bin", ".pt", ".pth"):
        raise ModelError(
            "a pickle can run code when it is opened",
            field=field,
            value=reference,
            remedy="Name a .safetensors file or a folder that has one.",
        )
    elif path.is_file():
        raise ModelError(
            "a single file is not read yet",
            field=field,
            value=reference,
            remedy="Convert it to a folder with diffusers: StableDiffusionPipeline.from_single_file, save_pretrained.",
        )
    elif is_id(reference):
        folder = download(
            reference,
            revision,
            wanted=BASE_FILES if part == "base" else FILES,
            complete=lambda found: _problem(found, part) is None,
            field=field,
        )
    else:
        raise ModelError(
            "there is no such folder or file", field=field, value=reference, remedy="Mend the path, or name a hub id."
        )
    if problem := _problem(folder, part):
        raise ModelError(
            problem,
            field=field,
            value=reference,
            remedy="Name a folder or revision that holds the whole model as .safetensors.",
        )
    if part == "base":
        family(folder, field=field)
    return folder


def family(folder: Path, *, field: str = "base_model.id") -> str:
    """The family of a base model: `sd` (Stable Diffusion 1 and 2); raises ModelError for those not known yet."""
    name = json.loads((folder / "model_index.json").read_text()).get("_class_name", "")
    if name not in ("StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline"):
        raise ModelError(
            "models of this family are not supported yet",
            field=field,
            value=name,
            remedy="Take one of Stable Diffusion 1 or 2.",
        )
    return "sd"


def weights_hash(folder: Path, part: str = "") -> str:
    """SHA-256 (hex) of what decides a component's output: its weights, its configuration, its tokenizer's words.

    `part` is `vae`, `unet`, `text_encoder` (with its tokenizer), or empty for a folder that is one model. Formatting
    and keys that begin with _ (versions, paths) of JSON files play no part.
    """
    whole = hashlib.sha256()
    for name in (part, "tokenizer") if part == "text_encoder" else (part,):
        for path in sorted((folder / name).iterdir()):
            if any(path.match(one) for one in FILES) and not any(path.match(one) for one in UNWANTED):
                whole.update(f"{name}/{path.name} {_hash(path)}\n".encode())
    return whole.hexdigest()


def load_unet(
    reference: str, *, revision: str | None = None, device: str = "cpu", dtype: str = "float32"
) -> UNet2DConditionModel:
    """The base model's UNet, a new object for every call, ready to be trained."""
    folder = locate(reference, revision) / "unet"
    return UNet2DConditionModel.from_pretrained(folder, **_how(dtype)).to(device)


def load_vae(
    reference: str, *, revision: str | None = None, device: str = "cpu", dtype: str = "float32"
) -> AutoencoderKL:
    """The base model's VAE, frozen and kept."""
    folder = locate(reference, revision)
    return _vae(folder, weights_hash(folder, "vae"), device, dtype)


def vae_config(reference: str, *, revision: str | None = None) -> dict[str, Any]:
    """The VAE's configuration, among it `scaling_factor` and `shift_factor` (None or absent: 0)."""
    return dict(AutoencoderKL.load_config(locate(reference, revision) / "vae", local_files_only=True))


def load_text_encoder(
    reference: str, *, revision: str | None = None, device: str = "cpu", dtype: str = "float32"
) -> tuple[CLIPTextModel, CLIPTokenizer]:
    """The base model's text encoder and tokenizer, frozen and kept."""
    folder = locate(reference, revision)
    return _text_encoder(folder, weights_hash(folder, "text_encoder"), device, dtype)


def load_scheduler(reference: str, *, revision: str | None = None) -> DDPMScheduler:
    """The base model's noise schedule as training needs it: DDPM, whichever sampler the model names."""
    folder = locate(reference, revision) / "scheduler"
    known = DDPMScheduler().config
    config = DDPMScheduler.load_config(folder, local_files_only=True)
    return DDPMScheduler.from_config({name: value for name, value in config.items() if name in known})


def load_pipeline(
    reference: str,
    *,
    revision: str | None = None,
    unet: UNet2DConditionModel | None = None,
    device: str = "cpu",
    dtype: str = "float32",
) -> StableDiffusionPipeline:
    """A pipeline for sampling, without safety checker and progress bar; `unet` takes the place of the model's own."""
    own = {} if unet is None else {"unet": unet}
    pipeline = StableDiffusionPipeline.from_pretrained(
        locate(reference, revision),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
        **own,
        **_how(dtype),
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)


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
) -> tuple[BlipForConditionalGeneration, BlipProcessor]:
    """A BLIP captioner and its processor, frozen and kept."""
    folder = locate(reference, revision, part="blip", field=field)
    return _blip(folder, weights_hash(folder), device, dtype)


def release() -> None:
    """Let go of the models that are kept, to make room for a training."""
    for kept in (_vae, _text_encoder, _clip, _blip):
        kept.cache_clear()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@functools.lru_cache(maxsize=1)
def _vae(folder: Path, _hash: str, device: str, dtype: str) -> AutoencoderKL:
    return _frozen(AutoencoderKL.from_pretrained(folder / "vae", **_how(dtype)), device)


@functools.lru_cache(maxsize=1)
def _text_encoder(folder: Path, _hash: str, device: str, dtype: str) -> tuple[CLIPTextModel, CLIPTokenizer]:
    encoder = CLIPTextModel.from_pretrained(folder / "text_encoder", **_how(dtype))
    return _frozen(encoder, device), CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)


@functools.lru_cache(maxsize=1)
def _clip(folder: Path, _hash: str, device: str, dtype: str) -> tuple[CLIPModel, CLIPProcessor]:
    model = CLIPModel.from_pretrained(folder, **_how(dtype))
    return _frozen(model, device), CLIPProcessor.from_pretrained(folder, local_files_only=True)


@functools.lru_cache(maxsize=1)
def _blip(folder: Path, _hash: str, device: str, dtype: str) -> tuple[BlipForConditionalGeneration, BlipProcessor]:
    model = BlipForConditionalGeneration.from_pretrained(folder, **_how(dtype))
    return _frozen(model, device), BlipProcessor.from_pretrained(folder, local_files_only=True)


def _how(dtype: str) -> dict[str, Any]:
    return {"dtype": getattr(torch, dtype), "use_safetensors": True, "local_files_only": True}


def _frozen(model: Any, device: str) -> Any:  # noqa: ANN401 - diffusers and transformers have no types
    kept: nn.Module = model.to(device).eval()
    return kept.requires_grad_(False)  # noqa: FBT003 - torch's own signature


def _problem(folder: Path, part: str) -> str | None:
    """What keeps the folder from being a whole model for `part`."""
    parts = ("unet", "vae", "text_encoder") if part == "base" else ("",)
    needed = ["model_index.json", "tokenizer", "scheduler"] if part == "base" else []
    needed += [f"{name}/config.json".lstrip("/") for name in parts]
    for name in needed:
        if not (folder / name).exists():
            return f"the model has no {name}"
    for name in parts:
        if not any((folder / name).glob("*.safetensors")):
            pickles = any((folder / name).glob("*.bin"))
            where = f" in {name}" if name else ""
            return f"the model has {'pickled weights only' if pickles else 'no weights'}{where}"
    return None


def _hash(path: Path) -> str:
    stat = path.stat()
    key = (str(path), stat.st_size, stat.st_mtime_ns)
    if key not in _hashes:
        if path.suffix == ".json":
            value = json.loads(path.read_bytes())
            if isinstance(value, dict):
                value = {name: one for name, one in value.items() if not name.startswith("_")}
            _hashes[key] = hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
        else:
            with path.open("rb") as file:
                _hashes[key] = hashlib.file_digest(file, "sha256").hexdigest()
    return _hashes[key]
