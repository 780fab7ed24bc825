"""How likely a picture is not safe for work, by an image classifier of transformers.

Any classifier that has one label for what is safe or one for what is not will do. Well kept and freely licensed are
Falconsai/nsfw_image_detection and AdamCodd/vit-base-nsfw-detector (both Apache-2.0, ViT). They know photographs; on
drawings they err more, and they measure what their makers called unfit.
"""

from collections.abc import Mapping, Sequence
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
            "nsfw__score",
            pa.float32(),
            metadata={b"description": b"probability that it is not safe for work, 0 to 1"},
        )
    ]
)
LIMITS = {"nsfw__score": {"max": 0.5}}
SAFE = ("normal", "sfw", "safe", "neutral", "drawings")
UNSAFE = ("nsfw", "porn", "unsafe", "explicit", "hentai", "sexy")
"""Words of labels, in lower case."""
FIELD = "judges.nsfw.model"


class Params(BaseModel, frozen=True, extra="forbid"):
    """Which classifier judges. Its weights are known by their hash, so another name of it changes nothing."""

    model: str = Field(
        "Falconsai/nsfw_image_detection", exclude=True, description="a folder or a hub id of a classifier"
    )
    revision: str | None = Field(None, exclude=True, description="commit of the hub model")


def weights(params: Params) -> str:
    """Hash of the classifier's weights.

    Raises:
        ModelError: it is not there and cannot be had.
    """
    return weights_hash(_pictures.folder_of(params.model, params.revision, field=FIELD))


def run(rows: Sequence[Row], params: Params, tools: Tools) -> Sequence[Mapping[str, Any]]:
    """The probability of each picture.

    Raises:
        ModelError: the classifier is not there, or none of its labels says safe or unsafe.
    """
    import torch  # takes seconds, which a run that finds all measured does not pay
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    from pipeline.models import device_of

    folder, device = _pictures.folder_of(params.model, params.revision, field=FIELD), device_of(tools.device)
    model = AutoModelForImageClassification.from_pretrained(folder, use_safetensors=True, local_files_only=True)
    model = model.to(device).eval()
    processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True)
    unsafe = unsafe_labels({int(place): label for place, label in model.config.id2label.items()}, params.model)

    def judge(pictures: list[Any]) -> list[float]:
        with torch.no_grad():
            seen = processor(images=pictures, return_tensors="pt").to(device)
            shares = model(**seen).logits.float().softmax(dim=1)
        return [float(one) for one in shares[:, unsafe].sum(dim=1).cpu()]

    return _pictures.answers(rows, "nsfw__score", judge, tools)


def unsafe_labels(labels: Mapping[int, str], model: str) -> list[int]:
    """Places of the labels that say unsafe: those named so, else all but those named safe.

    Raises:
        ModelError: no label is known, as of a classifier of something else.
    """
    named = [place for place, label in labels.items() if any(word in label.lower() for word in UNSAFE)]
    safe = [place for place, label in labels.items() if label.lower() in SAFE]
    found = named or [place for place in labels if safe and place not in safe]
    if not found or len(found) == len(labels):
        raise ModelError(
            "none of its labels tells safe from unsafe",
            field=FIELD,
            value=f"{model}: {', '.join(labels.values())}",
            remedy=f"Name a classifier with a label such as {UNSAFE[0]} or {SAFE[0]}.",
        )
    return found
