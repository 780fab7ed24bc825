"""Where a model's files lie and what they hash to. Loads no weights, and imports nothing that costs time.

A *reference* is `starter` (the small models that ship with gesso), a folder as diffusers or transformers save it, or a
hub id such as `owner/name` with its revision.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from pipeline import families, headers
from pipeline.errors import ModelError

STARTER = Path(__file__).parent / "starter" / "weights"
PARTS = {"base": "sd", "vae": "sd", "clip": "clip", "open_clip": "clip", "blip": "blip"}
"""What a reference may be wanted for, and the starter's folder for it."""
COMPONENTS = {"base": ("unet", "vae"), "vae": ("vae",)}
"""Folders below the model's own that hold weights, a base's text encoders apart; the others hold them themselves."""

FILES = ("*.json", "*.txt", "*.safetensors")
BASE_FILES = ("model_index.json", "*/*.json", "*/*.txt", "*/*.safetensors")
"""What is fetched from the hub: a base model's parts, not the single files beside them."""
UNWANTED = ("*.fp16.*", "*.non_ema.*", "*.ema.*", "safety_checker/*", "flax_model*", "openvino*", "onnx*", "vae_1_0/*")
"""Files that nothing here reads."""

_hashes: dict[tuple[str, int, int], str] = {}


def is_id(reference: str) -> bool:
    """Whether this can be a hub id: `owner/name` or `name`, and nothing that looks like a path."""
    return re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)?", reference) is not None


def on_hub(reference: str) -> bool:
    """Whether this names a model of the hub, and nothing on this machine."""
    return reference != "starter" and is_id(reference) and not Path(reference).expanduser().exists()


def locate(
    reference: str,
    revision: str | None = None,
    *,
    part: str = "base",
    untrained: str | None = None,
    field: str = "base_model.id",
) -> Path:
    """The folder of a model, downloaded if it must be.

    `part` is what the model is wanted for: `base` (one of `families`), `vae` (of one), `clip`, `open_clip` (a CLIP, or
    one in open_clip's layout) or `blip`; the component `untrained` (see `COMPONENTS`; "" for a CLIP or BLIP) need not
    have weights; `field` is where the recipe names it.
    Raises ModelError where it is not there and cannot be had, is of another kind, or has only pickles.
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
            "a single file is unpacked before it is read",
            field=field,
            value=reference,
            remedy="Name it as base_model.id of a recipe, or unpack it: gesso weights convert FILE --to FOLDER.",
        )
    elif is_id(reference) and path.suffix != ".safetensors":
        # the hub's client takes half a second to import, which no local model should cost
        from pipeline import hub

        folder = hub.download(
            reference,
            revision,
            wanted=BASE_FILES if part in COMPONENTS else FILES,
            unwanted=UNWANTED,
            complete=lambda found: _problem(found, part, untrained, field) is None,
            field=field,
        )
    else:
        raise ModelError(
            "there is no such folder or file", field=field, value=reference, remedy="Mend the path, or name a hub id."
        )
    if problem := _problem(folder, part, untrained, field):
        raise ModelError(
            problem,
            field=field,
            value=reference,
            remedy="Name a folder or revision that holds the whole model as .safetensors.",
        )
    return folder


def weights_hash(folder: Path, part: str = "", *, untrained: bool = False) -> str:
    """SHA-256 (hex) of what decides a component's output: its weights, its configuration, its tokenizer's words.

    `part` is `vae`, `unet`, a text encoder (with its tokenizer), or empty for a folder that is one model. Formatting
    and keys that begin with _ (versions, paths) of JSON files play no part; nor do the weights, if there are any, of
    what is `untrained`.
    """
    unwanted = (*UNWANTED, "*.safetensors") if untrained else UNWANTED
    whole = hashlib.sha256()
    for name in (part, families.tokenizer_of(part)) if part.startswith("text_encoder") else (part,):
        for path in sorted((folder / name).iterdir()):
            if any(path.match(one) for one in FILES) and not any(path.match(one) for one in unwanted):
                whole.update(f"{name}/{path.name} {file_hash(path)}\n".encode())
    return whole.hexdigest()


def text_hash(folder: Path) -> str:
    """SHA-256 (hex) of what decides what a base model's UNet is told of captions, and where there is none.

    Of a model with one text encoder it is the encoder's own.
    """
    family = families.of(folder)
    hashes = [weights_hash(folder, part) for part in family.text_encoders]
    if family is families.SD:
        return hashes[0]
    return hashlib.sha256(json.dumps([family.name, families.nothing_is_zeros(folder), *hashes]).encode()).hexdigest()


def latent_scale(folder: Path) -> tuple[float, float]:
    """Scale and shift of a base model's latents: (latent - shift) * scale is what its UNet sees.

    From the VAE's configuration, with the defaults of diffusers' AutoencoderKL: Stable Diffusion 1.5's names neither.
    """
    config = json.loads((folder / "vae" / "config.json").read_text(encoding="utf-8"))
    return float(config.get("scaling_factor") or 0.18215), float(config.get("shift_factor") or 0.0)


def config(folder: Path) -> dict[str, Any]:
    """The configuration of a component, by its folder."""
    return dict(json.loads((folder / "config.json").read_text(encoding="utf-8")))


def _problem(folder: Path, part: str, untrained: str | None, field: str) -> str | None:
    """What keeps the folder from being a whole model for `part`."""
    if part == "base" and not (folder / "model_index.json").exists():
        return "the model has no model_index.json"
    parts, needed = COMPONENTS.get(part, ("",)), []
    if part == "base":
        encoders = families.of(folder, field=field).text_encoders
        parts, needed = (*parts, *encoders), ["scheduler", *map(families.tokenizer_of, encoders)]
    needed += [f"{name}/config.json".lstrip("/") for name in parts]
    if part == "open_clip" and (folder / "open_clip_config.json").exists():
        needed.remove("config.json")
    for name in needed:
        if not (folder / name).exists():
            return f"the model has no {name}"
    for name in parts:
        if name != untrained and not any((folder / name).glob("*.safetensors")):
            pickles = any((folder / name).glob("*.bin"))
            where = f" in {name}" if name else ""
            return f"the model has {'pickled weights only' if pickles else 'no weights'}{where}"
        for path in sorted((folder / name).glob("*.safetensors")) if name != untrained else ():
            if not any(path.match(one) for one in UNWANTED) and (wrong := headers.problem(path)):
                return f"{path.relative_to(folder)} is no weights: {wrong}"
    return None


def file_hash(path: Path) -> str:
    """SHA-256 (hex) of a file; of JSON, without formatting and keys that begin with _."""
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
