"""Folders of drawn pictures: plain ones to try things on, and the demo's, with planted trouble."""

import csv
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline import atomic
from pipeline.dedup import perceptual
from pipeline.duplicates import Near
from pipeline.errors import InputError
from pipeline.imaging import decode
from pipeline.starter import defects, pictures
from pipeline.starter.defects import GOOD, KINDS, STAYS, Truth
from pipeline.starter.scene import Scene
from pipeline.starter.wording import subject_caption
from pipeline.workspace import write_bytes

SIDE = 128
SUBJECT = "robot"
FILES = 300
"""Files of the demo, captions and metadata not counted."""
COUNTS = {
    "resized copy": 10,
    "recompressed copy": 10,
    "cropped copy": 8,
    "flipped copy": 6,
    "watermarked copy": 6,
    "same bytes": 6,
    "same pixels": 4,
    "blurred": 8,
    "dark": 6,
    "over-exposed": 6,
    "noisy": 6,
    "bars or frame": 6,
    "text over it": 6,
    "tiny": 6,
    "licence not allowed": 6,
    "licence unknown": 4,
    "cut off": 4,
    "no picture": 3,
    "empty file": 2,
    "wrong extension": 3,
    "wrong caption": 8,
}
"""How many of the demo's files have what trouble; three of five are good."""
LICENSES = {"licence not allowed": "CC-BY-NC-4.0", "licence unknown": ""}
"""Licences of the kinds that have one of their own; all others are free."""


def plain(folder: Path, *, count: int, seed: int = 0, side: int = 64, style: str | None = None) -> str:
    """Write `count` pictures as PNG with .txt captions; all in one `style`, where one is named.

    Raises:
        InputError: the folder is there already and not empty.
    """
    _fresh(folder)
    for number in range(count):
        at = seed + number
        drawn = pictures.styled(style, at, side=side) if style else pictures.picture(at, side=side)
        Image.fromarray(drawn.pixels).save(folder / f"{number:05d}.png")
        (folder / f"{number:05d}.txt").write_text(drawn.caption + "\n", encoding="utf-8")
    return f"{count} pictures with captions in {folder}"


def demo(folder: Path) -> list[Truth]:
    """Write the demo's pictures of a subject that no starter model knows, and what is wrong with which of them.

    Returns:
        The truth about every file. It is also written beside the folder, never inside, to `<folder>-planted.json`.

    Raises:
        InputError: the folder is there already and not empty.
    """
    _fresh(folder)
    with atomic.folder(folder) as part:
        truths = _draw(part)
        write_bytes(_truths(folder), json.dumps([asdict(one) for one in truths], indent=1).encode())
    return truths


def _draw(folder: Path) -> list[Truth]:
    fresh = distinct()
    good = [next(fresh) for _ in range(FILES - sum(COUNTS.values()))]
    truths: list[Truth] = []
    for number, one in enumerate(good):
        name = f"{SUBJECT}-{number:03d}.png"
        (folder / name).write_bytes(defects.encoded(one.pixels))
        truths.append(Truth(name, GOOD, None, STAYS, "", body(one.scene)))
        if number % 4:
            _caption(folder / name, body(one.scene))
    # no picture is copied twice: which of three stays would be a matter of chance
    originals = iter(zip(truths[: len(good)], good, strict=True))
    for kind, count in COUNTS.items():
        for number in range(count):
            truth, one = next(originals) if KINDS[kind].copies else (None, next(fresh))
            made = KINDS[kind].make(one.pixels, number)
            name = f"{kind.replace(' ', '-')}-{number:02d}{made.suffix}"
            (folder / name).write_bytes(made.data)
            shows = "" if KINDS[kind].states == ("quarantined",) else body(one.scene)
            told, detail = shows, made.detail
            if kind == "wrong caption":
                told = body(defects.mistaken(one.scene, number))
                _caption(folder / name, told)
                detail = f"says: {told}"
            truths.append(Truth(name, kind, truth.file if truth else None, KINDS[kind].states, detail, shows))
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["file_name", "license", "creator"])
        writer.writerows([one.file, LICENSES.get(one.kind, "CC0-1.0"), "gesso's own hand"] for one in truths)
    return truths


def _truths(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}-planted.json")


def load(folder: Path) -> list[Truth]:
    """The truth about the files of a folder that `demo` has written."""
    rows = json.loads(_truths(folder).read_text(encoding="utf-8"))
    return [Truth(**{**row, "states": tuple(row["states"])}) for row in rows]


def distinct() -> Iterator[pictures.Picture]:
    """Pictures of the subject, seed after seed, without those that the default recipe takes for one seen before."""
    near = Near()
    seen: list[tuple[NDArray[np.uint64], NDArray[np.uint64]]] = []
    for seed in range(10 * FILES):
        one = pictures.subject(SUBJECT, seed, side=SIDE)
        found = perceptual.measure(decode(defects.encoded(one.pixels)), perceptual.Params())
        look, colors = (np.array([found[f"perceptual__{name}"]], np.uint64) for name in ("hash", "colors"))
        if any(
            np.bitwise_count(look ^ other) <= near.distance
            and perceptual.colour_distance(colors, shades) <= near.colour
            for other, shades in seen
        ):
            continue
        seen.append((look, colors))
        yield one


def body(drawn: Scene) -> str:
    """What a person would write about a picture of the subject, the subject itself left out: place and ground."""
    return subject_caption(drawn).removeprefix(f"a {SUBJECT} ")


def _caption(picture: Path, text: str) -> None:
    picture.with_suffix(".txt").write_text(text + "\n", encoding="utf-8")


def _fresh(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        raise InputError(
            "this folder is not empty",
            field="--to",
            value=str(folder),
            remedy="Name a new folder; nothing was written.",
        )
    folder.mkdir(parents=True, exist_ok=True)
