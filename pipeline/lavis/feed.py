"""Feeds pictures to a worker in batches, and sees to it that none is lost where it crashes, hangs or refuses one."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import GessoError, ModelError, PictureError
from pipeline.lavis.client import Fallen, Refused, Worker

LOAD_SECONDS = 3600.0
"""How long a model may take to load; BLIP-2 is some 15 GB, fetched from a hub the first time."""
GIVE_UP = 3
"""Batches in a row of which nothing came, after which it is not the pictures."""


def feed(
    worker: Worker,
    model: Mapping[str, Any],
    pictures: Sequence[np.ndarray[Any, Any]],
    how: Mapping[str, Any],
    *,
    batch_size: int,
    seconds: float,
    say: Callable[[str], None],
) -> list[list[str] | PictureError]:
    """Captions of each picture (height x width x 3 bytes), or why there are none.

    A batch may take `seconds` for each of its pictures. One that does not come back is said and tried once more, one
    picture at a time, by a new worker where the old one is gone; so a picture costs its neighbours nothing.

    Raises:
        ModelError: the worker cannot load the model.
        GessoError: nothing came of GIVE_UP batches in a row, or the worker dies while it loads.
    """
    said: list[list[str] | PictureError] = []
    lost = 0
    for start in range(0, len(pictures), batch_size):
        part = pictures[start : start + batch_size]
        try:
            found: list[list[str] | PictureError] = list(_ask(worker, model, part, how, seconds=seconds))
        except (Fallen, Refused) as error:
            what = "the picture" if len(part) == 1 else f"its {len(part)} pictures one by one"
            say(f"LAVIS: {error}; trying {what} again")
            found = [_alone(worker, model, one, how, seconds=seconds) for one in part]
        lost = 0 if any(isinstance(one, list) for one in found) else lost + 1
        if lost == GIVE_UP:
            raise GessoError(f"LAVIS captioned nothing of {GIVE_UP} batches in a row; of the last picture: {found[-1]}")
        said += found
    return said


def _alone(
    worker: Worker, model: Mapping[str, Any], picture: np.ndarray[Any, Any], how: Mapping[str, Any], *, seconds: float
) -> list[str] | PictureError:
    try:
        return _ask(worker, model, [picture], how, seconds=seconds)[0]
    except Fallen as error:
        return PictureError(error.reason, str(error))
    except Refused as error:
        return PictureError("captioner", str(error))


def _ask(
    worker: Worker,
    model: Mapping[str, Any],
    pictures: Sequence[np.ndarray[Any, Any]],
    how: Mapping[str, Any],
    *,
    seconds: float,
) -> list[list[str]]:
    _load(worker, model)
    paths = [worker.folder / f"{number}.npy" for number in range(len(pictures))]
    for path, picture in zip(paths, pictures, strict=True):
        np.save(path, picture)
    try:
        request = {"do": "caption", "pictures": [str(path) for path in paths], **how}
        return [list(texts) for texts in worker.ask(request, seconds=seconds * len(pictures))["captions"]]
    finally:
        for path in paths:
            path.unlink()


def _load(worker: Worker, model: Mapping[str, Any]) -> None:
    try:
        try:
            worker.load(model, seconds=LOAD_SECONDS)
        except Fallen:
            worker.load(model, seconds=LOAD_SECONDS)
    except Fallen as error:
        raise GessoError(f"LAVIS: twice, {error} (while loading the model)") from error
    except Refused as error:
        named = model.get("folder") or f"{model['model']} {model['model_type']}"
        raise ModelError(
            f"LAVIS cannot load it: {error}",
            field="caption.model",
            value=str(Path(named).name if "folder" in model else named),
            remedy="The models that LAVIS names come from the network at first; a folder holds a BLIP captioner.",
        ) from error
