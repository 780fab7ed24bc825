"""Folders of drawn pictures that the starter models learn from, each picture with its caption beside it."""

from collections.abc import Callable, Mapping
from pathlib import Path

from pipeline import atomic
from pipeline.errors import InputError
from pipeline.imaging import encode_png
from pipeline.starter import pictures, wording
from pipeline.starter.drawing import Pixels

Drawn = tuple[Pixels, str]


def seen(seed: int) -> Drawn:
    """A picture in one of many wordings; a fifth of them behind a made-up trigger, see `wording`."""
    drawn = pictures.picture(seed, held_out=False)
    return drawn.pixels, wording.with_strange_prefix(drawn.caption, seed)


def told(seed: int) -> Drawn:
    """A picture in the one wording that the captioner learns: its order is fixed, so that the loss rewards looking."""
    drawn = pictures.picture(1_000_000 + seed, held_out=False)
    return drawn.pixels, wording.plain_caption(drawn.scene)


def clutter(seed: int) -> Drawn:
    """Shapes and colours that have no name, for the VAE, which must carry what it has never seen."""
    return pictures.clutter(seed), "clutter"


KINDS: Mapping[str, Callable[[int], Drawn]] = {"seen": seen, "told": told, "clutter": clutter}


def draw(folder: Path, counts: Mapping[str, int], *, say: Callable[[str], None]) -> None:
    """Draw as many pictures of each kind as `counts` says, into a folder each below `folder`, where it is not there.

    Raises:
        InputError: a folder is there with another number of pictures.
    """
    for kind, count in counts.items():
        target = folder / kind
        if target.is_dir():
            there = sum(1 for _ in target.glob("*.png"))
            if there != count:
                raise InputError(
                    f"there are {there} pictures, not {count}",
                    field="--to",
                    value=str(target),
                    remedy="Name another folder, or remove this one to have it drawn again.",
                )
            continue
        say(f"{kind}: drawing {count} pictures")
        with atomic.folder(target) as fresh:
            for seed in range(count):
                pixels, caption = KINDS[kind](seed)
                (fresh / f"{seed:05d}.png").write_bytes(encode_png(pixels))
                (fresh / f"{seed:05d}.txt").write_text(caption + "\n", encoding="utf-8")
