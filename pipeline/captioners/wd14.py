"""Tags by a tagger of the WD14 family (SmilingWolf's, for drawn pictures), an ONNX model, through onnxruntime.

What these models ask for: the picture on white, padded with white to a square, in BGR, 0 to 255, height x width x
channel; `selected_tags.csv` beside the model names its outputs, in category 0 (general), 4 (characters) and 9 (rating).
"""

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from pipeline import keeping
from pipeline.errors import ModelError
from pipeline.manifest import Row
from pipeline.model_files import is_id

VERSION = 1
DESCRIPTION = (
    "Tags by a WD14 tagger, such as SmilingWolf/wd-vit-tagger-v3; for those who train on tags (needs onnxruntime)."
)
LOOKS = True
SENTENCES = False
READS = ()
MODEL, TAGS = "model.onnx", "selected_tags.csv"
GENERAL, CHARACTER = "0", "4"
FACES = frozenset(
    [
        "0_0",
        "(o)_(o)",
        "+_+",
        "+_-",
        "._.",
        "<o>_<o>",
        "<|>_<|>",
        "=_=",
        ">_<",
        "3_3",
        "6_9",
        ">_o",
        "@_@",
        "^_^",
        "o_o",
        "u_u",
        "x_x",
        "|_|",
        "||_||",
    ]
)
"""Tags that are drawn with an underscore, which is no space (kaomojis of SmilingWolf's own demonstration)."""


class Params(BaseModel, frozen=True, extra="forbid"):
    """What decides the tags beside the model, which is known by its hash."""

    model: str = Field(
        default="SmilingWolf/wd-vit-tagger-v3", exclude=True, description="a folder with model.onnx, or a hub id"
    )
    revision: str | None = Field(default=None, exclude=True, description="commit of the hub model")
    general: float = Field(default=0.35, ge=0, le=1, description="a general tag is taken from this score on, 0 to 1")
    character: float = Field(default=0.85, ge=0, le=1, description="a character's from this score on, 0 to 1")
    most: int = Field(default=60, ge=1, le=500, description="at most so many tags a picture, the surest first")
    underscores: bool = Field(default=False, description="leave tags as the model has them: long_hair, not long hair")
    batch_size: int = Field(default=8, ge=1, le=256, exclude=True, description="pictures looked at together, 1 to 256")


@dataclass(frozen=True)
class Tag:
    """One of the model's outputs."""

    name: str
    category: str


def weights(params: Params) -> str:
    """Hash of the model and of the names of its tags.

    Raises:
        ModelError: the model is not there and cannot be had.
    """
    folder = _locate(params)
    whole = hashlib.sha256()
    for name in (MODEL, TAGS):
        with (folder / name).open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()


def provenance(params: Params) -> str:
    """Tagger, model and revision, and the settings that are not the usual ones."""
    model = params.model if params.revision is None else f"{params.model}@{params.revision}"
    usual = Params()
    told = params.model_dump()
    return " ".join(["wd14", model, *(f"{name}={one}" for name, one in told.items() if one != getattr(usual, name))])


def caption(rows: Sequence[Row], params: Params, *, device: str = "cpu") -> list[str]:
    """Each picture's tags, parted by commas: characters, then general ones, the surest first.

    Raises:
        ModelError: the model is not there, is no tagger, or onnxruntime is not installed.
    """
    session, tags, side = _loaded(_locate(params), device)
    said: list[str] = []
    for start in range(0, len(rows), params.batch_size):
        batch = np.stack([ready(row["pixels"], side) for row in rows[start : start + params.batch_size]])
        (scores,) = session.run(None, {session.get_inputs()[0].name: batch})
        said += [", ".join(chosen(tags, one, params)) for one in scores]
    return said


def ready(pixels: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """A picture (height x width x 3 bytes, RGB) as the model takes it: side x side x 3, BGR, 0 to 255."""
    height, width = pixels.shape[:2]
    longest = max(height, width)
    top, left = (longest - height) // 2, (longest - width) // 2
    square = np.full((longest, longest, 3), 255, np.uint8)
    square[top : top + height, left : left + width] = pixels
    # INTER_AREA is what cv2 means to be used for shrinking; INTER_CUBIC else, as in the models' own demonstration
    how = cv2.INTER_AREA if longest > side else cv2.INTER_CUBIC
    sized = square if longest == side else cv2.resize(square, (side, side), interpolation=how)
    return np.ascontiguousarray(sized[:, :, ::-1], np.float32)


def chosen(tags: Sequence[Tag], scores: NDArray[np.float32], params: Params) -> list[str]:
    """The tags whose scores reach the limit of their category, characters first, and of each the surest first."""
    limits = {CHARACTER: params.character, GENERAL: params.general}
    found: list[str] = []
    for category, limit in limits.items():
        places = [place for place, tag in enumerate(tags) if tag.category == category and scores[place] >= limit]
        found += [tags[place].name for place in sorted(places, key=lambda place: -scores[place])]
    spelled = found if params.underscores else [one if one in FACES else one.replace("_", " ") for one in found]
    return spelled[: params.most]


def _locate(params: Params) -> Path:
    path = Path(params.model).expanduser()
    if path.is_dir():
        folder = path.resolve()
    elif is_id(params.model):
        from pipeline import hub

        folder = hub.download(
            params.model,
            params.revision,
            wanted=(MODEL, TAGS),
            unwanted=(),
            complete=lambda found: not _missing(found),
            field="caption.model",
        )
    else:
        raise ModelError(
            "there is no such folder",
            field="caption.model",
            value=params.model,
            remedy="Mend the path, or name a hub id.",
        )
    if missing := _missing(folder):
        raise ModelError(
            f"the tagger has no {missing[0]}",
            field="caption.model",
            value=params.model,
            remedy=f"Name a folder or revision that holds {MODEL} and {TAGS}.",
        )
    return folder


def _missing(folder: Path) -> list[str]:
    return [name for name in (MODEL, TAGS) if not (folder / name).is_file()]


@keeping.kept(1)
def _loaded(folder: Path, device: str) -> tuple[Any, tuple[Tag, ...], int]:
    """The model's session, its tags, and the side of the pictures that it takes."""
    try:
        import onnxruntime
    except ImportError as error:
        raise ModelError(
            "the tagger needs onnxruntime, which is not installed",
            field="caption.captioner",
            value="wd14",
            remedy="Run: pip install 'gesso[tagging]'",
        ) from error
    there = onnxruntime.get_available_providers()
    wanted = ["CPUExecutionProvider"] if device == "cpu" else ["CUDAExecutionProvider", "CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(folder / MODEL, providers=[one for one in wanted if one in there])
    tags = _tags(folder / TAGS)
    shape, given = session.get_inputs()[0].shape, session.get_outputs()[0].shape
    if len(shape) != 4 or shape[3] != 3 or shape[1] != shape[2] or given[-1] != len(tags):
        raise ModelError(
            "this is no tagger of the WD14 family",
            field="caption.model",
            value=str(folder),
            remedy=f"It takes {shape} and gives {given}; pictures of side x side x 3 and {len(tags)} tags are due.",
        )
    return session, tags, int(shape[1])


def _tags(path: Path) -> tuple[Tag, ...]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            return tuple(Tag(row["name"], row["category"].strip()) for row in csv.DictReader(file))
        except (KeyError, AttributeError, csv.Error) as error:
            raise ModelError(
                f"{TAGS} cannot be read",
                field="caption.model",
                value=str(path),
                remedy="It has the columns tag_id, name, category and count.",
            ) from error
