"""A picture that is exported, and the columns that say all that is known of it."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from pipeline.manifest import RIGHTS, Row

Read = Callable[[str], bytes]
"""The original bytes of a sample id."""
Progress = Callable[[int, int], object]
ENDINGS = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "BMP": ".bmp", "GIF": ".gif", "TIFF": ".tif"}
"""By format, as `pipeline.imaging` names it."""
SPLITS = {"train": "train", "held_out": "validation", "prior": "prior"}
"""What gesso's splits are called where Hugging Face's `datasets` reads them; it has no word for class pictures."""


@dataclass(frozen=True)
class Picture:
    """One picture of a prepared set."""

    sample_id: str
    pixel_id: str
    format: str
    split: str
    body: str
    """The caption's body, as people edit it."""
    caption: str
    """The composed caption, as training reads it."""
    origins: tuple[Row, ...]
    """Rows of `manifest.ORIGINS`: the places it came from that may be used, its own first."""
    mask: str | None = None
    """Sample id of its mask."""

    @property
    def stem(self) -> str:
        """Its file's name without the ending; 64 bits of its hash, so that no two pictures of a set share it."""
        return self.sample_id[:16]

    @property
    def name(self) -> str:
        """Its file's name."""
        return self.stem + ENDINGS[self.format]

    @property
    def mask_name(self) -> str:
        """The name of its mask's file, by which sources know it."""
        return f"{self.stem}-masklabel.png"


def metadata(one: Picture) -> Mapping[str, Any]:
    """What is known of a picture, by column: texts, whole numbers and null. `sources._metadata` reads it."""
    first = one.origins[0]
    told = {name: first.get(name) for name in RIGHTS if name not in ("license", "ai_optout")}
    optout = first.get("ai_optout")
    also = [{name: place.get(name) for name in RIGHTS} for place in one.origins[1:]]
    return {
        "text": one.caption,
        "license_spdx": first["license"],
        **told,
        "ai_optout": None if optout is None else str(optout).lower(),
        "gesso_body": one.body,
        "gesso_class": first["class"],
        "gesso_trigger": first["trigger"],
        "gesso_repeats": int(first["repeats"]),
        "gesso_split": one.split,
        "gesso_also": json.dumps(also) if also else None,
        "gesso_sample_id": one.sample_id,
        "gesso_pixel_id": one.pixel_id,
    }


def kinds(pictures: Sequence[Picture]) -> list[tuple[str, str]]:
    """The columns of `metadata` with their types: string or int64."""
    told = metadata(pictures[0])
    return [(name, "int64" if isinstance(value, int) else "string") for name, value in told.items()]


def by_split(pictures: Sequence[Picture]) -> Iterator[tuple[str, list[Picture]]]:
    """The pictures by the name of their split, those of a split by sample id."""
    ordered = sorted(pictures, key=lambda one: (SPLITS[one.split], one.sample_id))
    for split, some in groupby(ordered, key=lambda one: SPLITS[one.split]):
        yield split, list(some)


def in_lots(pictures: Sequence[Picture], most: int) -> Iterator[list[Picture]]:
    """The pictures in lots that are closed once they have `most` bytes."""
    lot: list[Picture] = []
    size = 0
    for one in pictures:
        lot.append(one)
        size += one.origins[0]["bytes"] or 0
        if size >= most:
            yield lot
            lot, size = [], 0
    if lot:
        yield lot
