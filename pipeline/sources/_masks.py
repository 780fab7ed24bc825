"""Which files of a source are masks: what of a picture the loss is about, white for all of it.

A mask stands beside its picture as `NAME-masklabel.png` (OneTrainer) or `NAME.mask.png`, or in a folder of masks under
the picture's own name, as sd-scripts has it for conditioning pictures.
"""

import re
from collections.abc import Iterable
from pathlib import Path

_BESIDE = re.compile(r"(?P<stem>.+)(-masklabel|\.mask)")


def of(paths: Iterable[str], root: Path, folder: Path | None) -> dict[str, str | None]:
    """The picture of each mask among `paths`, None where there is none.

    A mask lies below `folder` where its picture lies below `root`; names are compared without their ending.
    """
    if folder is None:
        paths = list(paths)
        if not any("-masklabel" in path or ".mask" in path for path in paths):  # of most sources
            return {}
    listed = sorted(map(Path, paths))
    masks: dict[Path, Path] = {}
    for path in listed:
        if folder is not None and path.is_relative_to(folder):
            masks[path] = root / path.relative_to(folder).with_suffix("")
        elif found := _BESIDE.fullmatch(path.stem):
            masks[path] = path.with_name(found["stem"])
    pictures = {path.with_suffix(""): path for path in reversed(listed) if path not in masks}
    matched = {mask: pictures.get(place) for mask, place in masks.items()}
    return {str(mask): None if picture is None else str(picture) for mask, picture in matched.items()}
