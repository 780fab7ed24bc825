"""How well a picture looks to those who rate pictures, by LAION's aesthetic predictor: CLIP and a small head over it.

Read are folders as shunk031/aesthetics-predictor-v1-vit-large-patch14 has them (LAION's predictor, MIT; one layer), or
its v2 (Apache-2.0; five): a CLIP's vision model, and the head's weights as `predictor.*` or `layers.<n>.*`.
Their raters preferred paintings and polished photographs, and so does the score.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, Field

from pipeline.errors import ModelError
from pipeline.judges import _pictures
from pipeline.manifest import Row
from pipeline.model_files import weights_hash
from pipeline.stage import Tools

VERSION = 1
KEY: tuple[str, ...] = ("sample_id",)
READS: tuple[str, ...] = ()
ADDS = pa.schema(
    [
        pa.field(
            "aesthetic__score",
            pa.float32(),
            metadata={b"description": b"mean rating that people would give it, about 1 (bad) to 10 (good)"},
        )
    ]
)
LIMITS = {"aesthetic__score": {"min": 4.0}}
FIELD = "judges.aesthetic.model"


class Params(BaseModel, frozen=True, extra="forbid"):
    """Which predictor judges. Its weights are known by their hash, so another name of it changes nothing."""

    model: str = Field(
        "shunk031/aesthetics-predictor-v1-vit-large-patch14",
        exclude=True,
        description="a folder or a hub id of a predictor",
    )
    revision: str | None = Field(None, exclude=True, description="commit of the hub model")


def weights(params: Params) -> str:
    """Hash of the predictor's weights.

    Raises:
        ModelError: it is not there and cannot be had.
    """
    return weights_hash(_pictures.folder_of(params.model, params.revision, field=FIELD))


def run(rows: Sequence[Row], params: Params, tools: Tools) -> Sequence[Mapping[str, Any]]:
    """The score of each picture.

    Raises:
        ModelError: the predictor is not there, or has no head.
    """
    import torch  # takes seconds, which a run that finds all measured does not pay
    from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

    from pipeline.models import device_of

    folder, device = _pictures.folder_of(params.model, params.revision, field=FIELD), device_of(tools.device)
    layers = [(weight.to(device), bias.to(device)) for weight, bias in head(folder, params.model)]
    clip = CLIPVisionModelWithProjection.from_pretrained(folder, use_safetensors=True, local_files_only=True)
    clip = clip.to(device).eval()
    processor = CLIPImageProcessor.from_pretrained(folder, local_files_only=True)

    def judge(pictures: list[Any]) -> list[float]:
        with torch.no_grad():
            seen = processor(images=pictures, return_tensors="pt")["pixel_values"].to(device)
            values = torch.nn.functional.normalize(clip(pixel_values=seen).image_embeds.float(), dim=1)
            for weight, bias in layers:  # no activation lies between them; dropout is for training
                values = values @ weight.T + bias
        return [float(one) for one in values[:, 0].cpu()]

    return _pictures.answers(rows, "aesthetic__score", judge, tools)


def head(folder: Path, model: str) -> list[tuple[Any, Any]]:
    """Weight and bias of the head's layers in their order.

    Raises:
        ModelError: the files have none.
    """
    from safetensors import safe_open

    found: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118 - a file of tensors is no mapping
                if match := re.fullmatch(r"(predictor|(?:predictor\.)?layers\.\d+)\.(weight|bias)", name):
                    found.setdefault(match[1], {})[match[2]] = file.get_tensor(name).float()
    if not found:
        raise ModelError(
            "it has no head that rates pictures",
            field=FIELD,
            value=model,
            remedy="Name a predictor such as shunk031/aesthetics-predictor-v1-vit-large-patch14.",
        )
    order = sorted(found, key=lambda name: int(name.rpartition(".")[2]) if "." in name else 0)
    return [(found[name]["weight"], found[name]["bias"]) for name in order]
