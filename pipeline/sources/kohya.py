"""Pictures as kohya's trainers have them: folders `<repeats>_<trigger> <class>`, or a dataset TOML of sd-scripts.

Of `10_sks dog` each picture is seen ten times in an epoch, the trigger is `sks` and the class `dog`; a single word is
the class. Below a folder `reg` lie class pictures. A picture without a caption has the words of its folder for one.
Masks of `img/10_sks dog` lie in `masks/img/10_sks dog`, where an export puts them.

Of a TOML these keys are read, of each subset, else its dataset, else `general`: image_dir, num_repeats, class_tokens,
is_reg, caption_extension, conditioning_data_dir with its masks, and metadata_file with its captions. How to train
stands in the recipe; so a folder that is named for several resolutions counts once.
"""

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.manifest import Row
from pipeline.settings import Source
from pipeline.sources import _metadata, folder
from pipeline.sources._rows import describe, shown
from pipeline.workspace import Workspace

DESCRIPTION = "kohya's folders <repeats>_<trigger> <class>, or a dataset TOML of sd-scripts"
NAME = re.compile(r"(?P<repeats>\d{1,4})_(?P<words>.+)")
MASKS = "masks"
REGULAR = "reg"
"""Name of the folder below which kohya's tools keep class pictures."""


@dataclass(frozen=True)
class Subset:
    """A folder of pictures that are alike in what is told of them."""

    place: Path
    repeats: int
    words: str
    is_reg: bool = False
    sidecars: tuple[str, ...] = folder.SIDECARS
    captions: Mapping[str, str] = field(default_factory=dict)
    """By file name, without its ending."""
    masks: Path | None = None
    """A folder of masks, which have the names of their pictures."""


def check(source: Source, position: int) -> None:
    """See that there are subsets.

    Raises:
        InputError: there are none, or the TOML cannot be understood.
    """
    subsets(source, position)


def known(source: Source, workspace: Workspace) -> Iterator[tuple[str, str | None]]:
    """Path of each picture, with its sample id if it was read before and looks the same."""
    for one in subsets(source, 0):
        yield from folder.known(_as_folder(source, one), workspace, one.sidecars)


def scan(
    source: Source,
    position: int,
    workspace: Workspace,
    *,
    on_read: Callable[[Path], object] = lambda _: None,
    progress: Callable[[int, int], object] = lambda done, total: None,  # noqa: ARG005 (names say what comes)
) -> list[Row]:
    """One row for each file of the subsets, and for each folder that is none.

    Raises:
        InputError: there are no subsets, or the TOML or a metadata file cannot be understood.
    """
    rows: list[Row] = []
    found = subsets(source, position)
    for one in found:
        made = folder.scan(
            _as_folder(source, one), position, workspace, on_read=on_read, progress=progress, sidecars=one.sidecars
        )
        told = any((one.place / name).exists() for name in _metadata.FILES)
        for row in made:
            row["sidecar"] = row["sidecar"] or one.captions.get(Path(row["origin"]).stem)
            if not told and not row["mask_of"]:
                row["sidecar"] = row["sidecar"] or one.words
            if one.is_reg:
                row["split"] = row["split"] or "prior"
        rows += made
    if source.path.is_dir():
        rows += (_passed_over(path, source, position) for path in _others(source.path, [one.place for one in found]))
    return sorted(rows, key=lambda row: str(row["origin"]))


def subsets(source: Source, position: int) -> list[Subset]:
    """The subsets of a folder or a TOML.

    Raises:
        InputError: there are none, or the TOML cannot be understood.
    """
    place = f"sources.{position}.path"
    found = _of_toml(source.path, place) if source.path.suffix == ".toml" else _of_folders(source.path)
    if not found:
        raise InputError(
            "there is no folder <repeats>_<trigger> <class> here",
            field=place,
            value=str(source.path),
            remedy="Name the folder that has folders such as `10_sks dog`, or a dataset TOML.",
        )
    return found


def _of_folders(root: Path) -> list[Subset]:
    """The folder itself, or those below it, to the second level: kohya's tools have img/10_sks dog and reg/1_dog."""
    candidates = [root, *sorted(root.glob("*/")), *sorted(root.glob("*/*/"))]
    found: list[Subset] = []
    for path in candidates:
        named = NAME.fullmatch(path.absolute().name)
        if named and int(named["repeats"]) and not any(path.is_relative_to(one.place) for one in found):
            is_reg = REGULAR in path.relative_to(root).parts[:-1] or root.absolute().name == REGULAR
            masks = root / MASKS / path.relative_to(root)
            found.append(
                Subset(
                    path,
                    min(int(named["repeats"]), 1000),
                    named["words"].strip(),
                    is_reg,
                    masks=masks if masks.is_dir() and masks != path else None,
                )
            )
    return found


def _others(root: Path, found: list[Path]) -> Iterator[Path]:
    """Folders at the level of the subsets that are none."""
    for path in sorted({below for one in found for below in one.parent.glob("*/")} - set(found)):
        within = any(one.is_relative_to(path) for one in found)
        if root in path.parents and not within and not path.name.startswith("."):
            yield path


def _passed_over(path: Path, source: Source, position: int) -> Row:
    row = describe(shown(path), source, position, None, None, folder=path.name)
    return {**row, "error": "not_followed: a folder whose name is not <repeats>_<trigger> <class>"}


def _of_toml(path: Path, place: str) -> list[Subset]:
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
        general = told.get("general", {})
        found = []
        for dataset in told.get("datasets", []):
            for one in dataset.get("subsets", []):
                keys = {**general, **{key: value for key, value in dataset.items() if key != "subsets"}, **one}
                if "image_dir" in keys:
                    found.append(_subset(keys, path.parent))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError(
            f"this dataset TOML cannot be read ({error})", field=place, value=str(path), remedy="Mend it."
        ) from error
    for subset in found:
        for key, folder_ in (("image_dir", subset.place), ("conditioning_data_dir", subset.masks)):
            if folder_ and not folder_.is_dir():
                raise InputError(
                    f"there is no such {key}", field=place, value=str(folder_), remedy="Mend the path in the TOML."
                )
    return _once(found, place)


def _once(found: list[Subset], place: str) -> list[Subset]:
    """The subsets without those that are named again, such as for another resolution.

    Raises:
        InputError: something else is told of the pictures the second time.
    """
    kept: dict[Path, Subset] = {}
    for one in found:
        first = kept.setdefault(one.place.resolve(), one)
        if replace(first, repeats=1, masks=None, place=one.place) != replace(one, repeats=1, masks=None):
            raise InputError(
                "two subsets say different things of one image_dir",
                field=place,
                value=str(one.place),
                remedy="Let them agree in class_tokens, is_reg and captions, or take one away.",
            )
        masks, repeats = first.masks or one.masks, max(first.repeats, one.repeats)
        kept[one.place.resolve()] = replace(first, masks=masks, repeats=repeats)
    return list(kept.values())


def _subset(keys: Mapping[str, Any], beside: Path) -> Subset:
    extension = keys.get("caption_extension")
    return Subset(
        place=_place(keys["image_dir"], beside),
        repeats=min(1000, max(1, int(keys.get("num_repeats", 1)))),
        words=str(keys.get("class_tokens") or ""),
        is_reg=bool(keys.get("is_reg", False)),
        sidecars=(str(extension),) if extension else folder.SIDECARS,
        captions=_captions(_place(keys["metadata_file"], beside)) if keys.get("metadata_file") else {},
        masks=_place(keys["conditioning_data_dir"], beside) if keys.get("conditioning_data_dir") else None,
    )


def _place(path: str, beside: Path) -> Path:
    """A path as sd-scripts takes it, from where the command runs; else from where the TOML lies."""
    return Path(path) if Path(path).exists() else beside / path


def _captions(path: Path) -> dict[str, str]:
    told = json.loads(path.read_text(encoding="utf-8"))
    texts = {Path(name).stem: one.get("caption") or one.get("tags") for name, one in told.items()}
    return {name: text for name, text in texts.items() if isinstance(text, str)}


def _as_folder(source: Source, one: Subset) -> Source:
    """The subset as a source of its own; what the recipe says goes before what its name says."""
    first, _, rest = one.words.partition(" ")
    trigger, class_ = (first, rest.strip()) if rest.strip() else (None, first or None)
    return source.model_copy(
        update={
            "path": one.place,
            "masks": source.masks or one.masks,
            "repeats": one.repeats,
            "trigger": source.trigger or (None if one.is_reg else trigger),
            "class_": source.class_ or (one.words if one.is_reg else class_) or None,
        }
    )
