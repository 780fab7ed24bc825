"""A single file as a folder of diffusers, with the configurations, noise schedule and tokenizers that it lacks."""

import json
import shutil
from pathlib import Path
from typing import Any

import diffusers
from torch import Tensor

from pipeline import atomic, families, headers, model_files
from pipeline.errors import ModelError
from pipeline.original import parts, slots, tokenizer
from pipeline.original.single import Wanted
from pipeline.original.slots import Slot

PADS = {"sd1": (tokenizer.END,), "sd2": ("!",), "sdxl": (tokenizer.END, "!")}
"""What each tokenizer fills up with, as published."""


def write(want: Wanted, folder: Path) -> None:
    """Unpack the file into `folder`, which appears complete; number formats stay as they are.

    Raises:
        ModelError: tensors are missing, or of another shape than the architecture's; the message names the first.
    """
    with atomic.folder(folder) as fresh, parts.opened(want.path) as file:
        for part, found in checked(want).items():
            tensors: dict[str, Tensor] = {}
            for slot in found:
                tensors |= slot.apart(file[slot.original])
            parts.write(fresh, part, tensors)
            told = want.configs[part]
            # transformers takes the number format from here, diffusers takes float32: in one pipeline they must agree
            _write(fresh / part / "config.json", told | ({"dtype": "float32"} if part.startswith("text") else {}))
        _write(fresh / "scheduler" / "scheduler_config.json", _scheduler(want))
        for at, part in enumerate(want.kind.texts):
            words = families.tokenizer_of(part)
            if want.like is not None:
                shutil.copytree(want.like / words, fresh / words)
            else:
                tokenizer.write(fresh / words, pad=PADS[want.kind.name][at])
        _write(fresh / "model_index.json", _index(want))
        _write(fresh / "source.json", {"file": want.path.name, "sha256": model_files.file_hash(want.path)})


def checked(want: Wanted) -> dict[str, list[Slot]]:
    """The slots of each part, all of which the file has in the right shape.

    Raises:
        ModelError: see `write`.
    """
    header = headers.read(want.path)
    found = {part: slots.of_part(want.kind, part, want.configs[part]) for part in ("unet", "vae", *want.kind.texts)}
    for part, needed in found.items():
        for slot in needed:
            there = header.tensors.get(slot.original)
            if there is None or not slot.fits(there.shape):
                wrong = "is missing" if there is None else f"is {' x '.join(map(str, there.shape))}"
                raise ModelError(
                    f"its {part} is not that of {want.kind.title}"
                    f"{' as published' if want.like is None else ' in base_model.config'}: {slot.original} {wrong}",
                    field="base_model.id",
                    value=str(want.path),
                    remedy="Name in base_model.config a folder of diffusers with the model's own configurations.",
                )
    return found


def _scheduler(want: Wanted) -> dict[str, Any]:
    told = {**want.configs["scheduler"], "prediction_type": want.prediction}
    if want.zero_terminal_snr:
        told |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    if told.get("_class_name") == "PNDMScheduler" and (want.zero_terminal_snr or want.prediction != "epsilon"):
        # PNDM knows no such schedule; published models that predict velocity come with DDIM
        told = {name: value for name, value in told.items() if name != "skip_prk_steps"} | {
            "_class_name": "DDIMScheduler"
        }
    return told


def _index(want: Wanted) -> dict[str, Any]:
    shared: dict[str, Any] = {
        "_class_name": want.kind.family.pipelines[0],
        "_diffusers_version": diffusers.__version__,
        "scheduler": ["diffusers", _scheduler(want)["_class_name"]],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    for part in want.kind.texts:
        kind = "CLIPTextModel" if part == "text_encoder" else "CLIPTextModelWithProjection"
        shared |= {part: ["transformers", kind], families.tokenizer_of(part): ["transformers", "CLIPTokenizer"]}
    if want.kind.family is families.SDXL:
        return {**shared, "feature_extractor": [None, None], "image_encoder": [None, None], **_zeros(want)}
    nothing = {name: [None, None] for name in ("feature_extractor", "image_encoder", "safety_checker")}
    return {**shared, **nothing, "requires_safety_checker": False}


def _zeros(want: Wanted) -> dict[str, bool]:
    return {"force_zeros_for_empty_prompt": True if want.like is None else families.nothing_is_zeros(want.like)}


def _write(path: Path, value: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2), encoding="utf-8")
