"""What a file of weights says of itself in its header, so that web UIs, trainers and people know what it is.

modelspec.* are those of github.com/Stability-AI/ModelSpec (1.0.0); ss_* and sshs_* those of kohya's sd-scripts, by
which the web UIs sort and name adapters. No times: the same training says the same.
"""

import hashlib
from collections.abc import Mapping

from safetensors.torch import save
from torch import Tensor

from pipeline.original import kinds
from pipeline.original.kinds import Kind

GENERATIVE, DIFFUSERS = "https://github.com/Stability-AI/generative-models", "diffusers"
VERSIONS = {"sd1": "sd_v1", "sd2": "sd_v2", "sdxl": "sdxl_base_v1-0"}
"""A base model's name in ss_base_model_version; Stable Diffusion that predicts velocity has _v behind it."""
OF_PEOPLE = ("modelspec.title", "modelspec.author", "modelspec.license", "modelspec.description", "modelspec.date",
             "modelspec.resolution", "modelspec.tags", "modelspec.trigger_phrase", "modelspec.usage_hint")  # fmt: skip
"""What of modelspec stays as it is when a file is written in another layout."""


def of(kind: Kind, what: str, *, layout: str, prediction: str) -> dict[str, str]:
    """What modelspec says of a file for a kind: `what` is lora, textual-inversion, or "" for a whole model.

    `layout` is `diffusers` or `kohya`; what implements it is told as sd-scripts does.
    """
    velocity = prediction == "v_prediction"
    architecture = "stable-diffusion-v2-768-v" if kind is kinds.SD2 and velocity else kind.spec
    originals = what != "lora" or (kind is kinds.SDXL and layout == "kohya")
    return {
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": f"{architecture}/{what}" if what else architecture,
        "modelspec.implementation": GENERATIVE if originals and layout != "diffusers" else DIFFUSERS,
        "modelspec.prediction_type": "v" if velocity else "epsilon",
    }


def base(kind: Kind, *, prediction: str) -> dict[str, str]:
    """What sd-scripts says of the base model."""
    velocity = prediction == "v_prediction" and kind is not kinds.SDXL
    return {
        "ss_base_model_version": VERSIONS[kind.name] + ("_v" if velocity else ""),
        "ss_v2": str(kind is kinds.SD2),
    }


def network(*, rank: int, alpha: float) -> dict[str, str]:
    """What sd-scripts says of an adapter."""
    return {
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(rank),
        "ss_network_alpha": str(float(alpha)),
    }


def hashes(tensors: Mapping[str, Tensor], header: Mapping[str, str]) -> dict[str, str]:
    """The hashes by which the web UIs find an adapter again: of all tensors, and the old one of 64 KiB.

    They are of the file as it would be with the ss_* of its header alone, which editing a title does not change
    (precalculate_safetensors_hashes of sd-scripts).
    """
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    data = save(plain, {name: value for name, value in header.items() if name.startswith("ss_")})
    begins = 8 + int.from_bytes(data[:8], "little")
    old = data[0x100000 : 0x100000 + 0x10000]
    return {
        "sshs_model_hash": hashlib.sha256(memoryview(data)[begins:]).hexdigest(),
        "sshs_legacy_hash": hashlib.sha256(old).hexdigest()[:8],
    }
