"""Folders of drawn pictures: plain ones to try things on, and the demo's, with planted trouble.

Everything planted is written to `planted.json` beside the folder, never inside: the truth to hold a ledger against.
"""

import csv
import io
import json
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from pipeline.errors import InputError
from pipeline.starter import pictures, wording
from pipeline.starter.drawing import Pixels

SIDE = 128
SUBJECTS = 48
"""Distinct good pictures of the demo's subject."""
FIRST_SEED = 89
"""Seed of the first of them, chosen so that no two hash alike."""


def plain(folder: Path, *, count: int, seed: int = 0, side: int = 64) -> str:
    """Write `count` pictures as PNG with .txt captions.

    Raises:
        InputError: the folder is there already and not empty.
    """
    _fresh(folder)
    for number in range(count):
        drawn = pictures.picture(seed + number, side=side)
        Image.fromarray(drawn.pixels).save(folder / f"{number:05d}.png")
        (folder / f"{number:05d}.txt").write_text(drawn.caption + "\n", encoding="utf-8")
    return f"{count} pictures with captions in {folder}"


def demo(folder: Path) -> dict[str, str]:
    """Write the demo's pictures of a robot, and return the planted truth: file name -> what is wrong with it.

    Raises:
        InputError: the folder is there already and not empty.
    """
    _fresh(folder)
    planted: dict[str, str] = {}
    rights: dict[str, tuple[str, str]] = {}
    good = [pictures.subject("robot", seed, side=SIDE) for seed in range(FIRST_SEED, FIRST_SEED + SUBJECTS)]

    def put(name: str, data: bytes, wrong: str = "", license_: str = "CC0-1.0") -> None:
        (folder / name).write_bytes(data)
        rights[name] = (license_, "gesso's own hand")
        if wrong:
            planted[name] = wrong

    for number, one in enumerate(good):
        put(f"robot-{number:02d}.png", _encoded(one.pixels))
        if number % 4:
            place = "" if one.scene.place == "in the middle" else f"{one.scene.place} "
            text = f"{place}on {wording.an(one.scene.background)} background"
            (folder / f"robot-{number:02d}.txt").write_text(text + "\n", encoding="utf-8")
    for number in range(4):
        smaller = cv2.resize(good[number].pixels, (96, 96), interpolation=cv2.INTER_AREA)
        put(f"smaller-{number}.png", _encoded(np.asarray(smaller, np.uint8)), "near-duplicate")
        put(f"recompressed-{number}.jpg", _encoded(good[10 + number].pixels, "JPEG"), "near-duplicate")
    put("twin-of-robot-20.png", _encoded(good[20].pixels), "same bytes")
    put("reencoded-robot-21.bmp", _encoded(good[21].pixels, "BMP"), "same pixels")
    for number in range(3):
        extra = [pictures.subject("robot", 1000 + 10 * number + kind, side=SIDE).pixels for kind in range(4)]
        put(f"blurred-{number}.png", _encoded(np.asarray(cv2.GaussianBlur(extra[0], (0, 0), 5), np.uint8)), "blurred")
        put(f"dark-{number}.png", _encoded((extra[1] * 0.06).astype(np.uint8)), "dark")
        tiny = cv2.resize(extra[2], (40, 40), interpolation=cv2.INTER_AREA)
        put(f"tiny-{number}.png", _encoded(np.asarray(tiny, np.uint8)), "tiny")
        put(f"not-free-{number}.png", _encoded(extra[3]), "licence not allowed", "CC-BY-NC-4.0")
    for number in range(2):
        whose = pictures.subject("robot", 2000 + number, side=SIDE).pixels
        put(f"whose-{number}.png", _encoded(whose), "licence unknown", "")
    whole = _encoded(pictures.subject("robot", 3000, side=SIDE).pixels)
    put("cut-off.png", whole[: len(whole) * 6 // 10], "corrupt")
    put("page.jpg", b"<!DOCTYPE html><html><body>404 not found</body></html>", "corrupt")
    put("empty.png", b"", "corrupt")
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["file_name", "license", "creator"])
        writer.writerows([name, *told] for name, told in sorted(rights.items()))
    (folder.parent / "planted.json").write_text(json.dumps(planted, indent=1), encoding="utf-8")
    return planted


def _fresh(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        raise InputError(
            "this folder is not empty",
            field="--to",
            value=str(folder),
            remedy="Name a new folder; nothing was written.",
        )
    folder.mkdir(parents=True, exist_ok=True)


def _encoded(pixels: Pixels, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **({"quality": 80} if kind == "JPEG" else {}))
    return file.getvalue()
