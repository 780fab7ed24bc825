"""What the scorers' default limits catch, and what good pictures they cost: planted defects on pictures of known truth.

python tests/benchmarks/defect_study.py [--photos DIR] [--drawn N] [--flawed NAME ...] [--record]

Each kind of defect is planted into every good picture: drawn ones of 512 px, and photographs below --photos with their
longest side brought to 1024 px. *Recall* is the share of planted pictures that the kind's own scorer refuses at its
default limit; *precision* the share of planted ones among all that it refuses of the good and the planted pictures. The
bar is 0.9 for each on drawn pictures. `refused_photos` is the share of good photographs, as they are, that any default
limit refuses, and which (bar: at most 0.02); `--flawed` names those that are no good ones, such as photographs with
bars, and `flawed` tells what refuses each.
"""

import argparse
import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from pipeline import plugins
from pipeline.imaging import Canonical, Pixels, decode, shrink
from pipeline.starter import defects, pictures

ROOT = Path(__file__).parents[2]
SIDE = 1024
ENDINGS = (".jpg", ".jpeg", ".png", ".webp")
WORDS = "stock photo"


def rng(seed: int) -> np.random.Generator:
    """Random numbers of one picture."""
    return np.random.default_rng([seed, 23])


def stored(pixels: Pixels) -> bytes:
    """A file without loss that takes no time to write."""
    return defects.encoded(pixels, "BMP")


def dull(pixels: Pixels, seed: int) -> bytes:
    """With 2 to 8 % of its contrast, about a middle grey."""
    share = rng(seed).uniform(0.02, 0.08)
    return stored(np.round((pixels.astype(np.float32) - 128) * share + 128).astype(np.uint8))


def colorless(pixels: Pixels, seed: int) -> bytes:
    """Black and white, every second one toned, as a JPEG."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)[..., None].repeat(3, axis=2)
    if seed % 2:
        grey = 255 * (grey / 255) ** np.array([0.8, 1.0, 1.3])
    return defects.encoded(np.round(grey).astype(np.uint8), "JPEG", quality=90)


def blocky(pixels: Pixels, seed: int) -> bytes:
    """A JPEG of quality 2 to 8, every second one cut and saved once more without loss."""
    small = defects.encoded(pixels, "JPEG", quality=int(rng(seed).integers(2, 9)))
    if seed % 2:
        return stored(np.ascontiguousarray(np.asarray(Image.open(io.BytesIO(small)))[3:, 5:]))
    return small


def oblong(pixels: Pixels, seed: int) -> bytes:
    """A strip a quarter as high as wide, or the other way round."""
    high, wide = pixels.shape[:2]
    cut = pixels[: wide // 4] if seed % 2 else pixels[:, : high // 4]
    return stored(np.ascontiguousarray(cut))


def blank(pixels: Pixels, seed: int) -> bytes:
    """A plain page with a speck of the picture in a corner."""
    page = np.empty_like(pixels)
    page[:] = rng(seed).integers(0, 256, 3)
    high, wide = (side // 8 for side in pixels.shape[:2])
    page[-high:, -wide:] = cv2.resize(pixels, (wide, high), interpolation=cv2.INTER_AREA)
    return stored(page)


def tiled(pixels: Pixels, seed: int) -> bytes:
    """With words all over it, turned by 15 to 45 degrees, a fifth to two fifths opaque."""
    random, (high, wide) = rng(seed), pixels.shape[:2]
    side = 2 * max(high, wide)
    sheet = np.zeros((side, side), np.uint8)
    for line, top in enumerate(range(side // 16, side, side // 8)):
        for left in range(-(line % 2) * side // 8, side, side // 3):
            place = (left, top)
            cv2.putText(sheet, WORDS, place, cv2.FONT_HERSHEY_SIMPLEX, side / 1000, 255, side // 400, cv2.LINE_AA)
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), random.uniform(15, 45), 1)
    top, left = (side - high) // 2, (side - wide) // 2
    cover = cv2.warpAffine(sheet, turn, (side, side))[top : top + high, left : left + wide, None] / 255
    cover = cover * random.uniform(0.2, 0.4)
    return stored(np.round(pixels * (1 - cover) + cover * (255 if pixels.mean() < 128 else 0)).astype(np.uint8))


def starter(kind: Callable[[Pixels, int], defects.Made]) -> Callable[[Pixels, int], bytes]:
    """A defect of the starter collection."""
    return lambda pixels, seed: kind(pixels, seed).data


PLANTED: dict[str, tuple[str, Callable[[Pixels, int], bytes]]] = {
    "tiny": ("resolution", starter(defects.tiny)),
    "oblong": ("resolution", oblong),
    "blurred": ("sharpness", starter(defects.blurred)),
    "dark": ("exposure", starter(defects.dark)),
    "over-exposed": ("exposure", starter(defects.overexposed)),
    "dull": ("exposure", dull),
    "blank": ("uniformity", blank),
    "blank page": ("information", lambda pixels, seed: blank(np.full_like(pixels, 200), seed)),
    "colourless": ("grayscale", colorless),
    "noisy": ("noise", starter(defects.noisy)),
    "blocky": ("blockiness", blocky),
    "bars or frame": ("borders", starter(defects.bordered)),
    "text over it": ("text", starter(defects.lettered)),
    "a faint word": ("watermark", starter(defects.watermarked)),
    "faint words all over": ("watermark", tiled),
}
"""What is planted: the scorer that answers for it, and how it is made."""


def refusals(picture: Canonical) -> dict[str, list[str]]:
    """The columns that refuse a picture at their default limits, by scorer."""
    found = {}
    for name, module in plugins.load_all("scorers").items():
        values = module.measure(picture, module.Params())
        limits = getattr(module, "LIMITS", {})
        out = [
            column
            for column, limit in limits.items()
            if not limit.get("min", -np.inf) <= values[column] <= limit.get("max", np.inf)
        ]
        if out:
            found[name] = out
    return found


def study(good: list[Pixels]) -> dict[str, Any]:
    """Recall and precision of each kind, and by which other scorers it is refused as well."""
    fine = [refusals(decode(stored(one))) for one in good]
    found = {}
    for kind, (scorer, make) in PLANTED.items():
        planted = [refusals(decode(make(pixels, seed))) for seed, pixels in enumerate(good)]
        caught, wrong = sum(scorer in one for one in planted), sum(scorer in one for one in fine)
        others = {name: sum(name in one for one in planted) for one in planted for name in one if name != scorer}
        found[kind] = {
            "scorer": scorer,
            "recall": round(caught / len(good), 3),
            "precision": round(caught / max(1, caught + wrong), 3),
            "also": dict(sorted(others.items())),
        }
    return found


def photos_below(folder: Path) -> Iterator[Path]:
    """Pictures below a folder."""
    return (path for path in sorted(folder.rglob("*")) if path.suffix.lower() in ENDINGS)


def main() -> None:
    """Measure, print one JSON object, and with --record append it to the kept records."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, help="folder of photographs, searched recursively")
    parser.add_argument("--drawn", type=int, default=100, help="how many drawn pictures")
    parser.add_argument("--flawed", nargs="*", default=(), help="photographs, as FOLDER/NAME, that are no good ones")
    parser.add_argument("--record", action="store_true", help="append to reports/benchmarks/defect_study.jsonl")
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    drawn = study([pictures.picture(seed, side=512).pixels for seed in range(asked.drawn)])
    paths = list(photos_below(asked.photos)) if asked.photos else []
    fine = [path for path in paths if f"{path.parent.name}/{path.name}" not in asked.flawed]
    whole = [decode(path.read_bytes()) for path in fine]
    photos = study([shrink(one.pixels, SIDE) for one in whole]) if whole else {}
    flawed = {
        f"{path.parent.name}/{path.name}": sorted(refusals(decode(path.read_bytes())))
        for path in paths
        if path not in fine
    }
    refused = {
        f"{path.parent.name}/{path.name}": sorted(column for out in columns.values() for column in out)
        for path, columns in zip(fine, map(refusals, whole), strict=True)
        if columns
    }
    found = {
        "name": "defect_study",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "least_recall": min(one["recall"] for one in drawn.values()),
        "least_precision": min(one["precision"] for one in drawn.values()),
        "limit": 0.9,
        "refused_photos": round(len(refused) / len(fine), 4) if fine else None,
        "limit_refused": 0.02,
        "limits": plugins.limits(),
        "drawn": drawn,
        "photos": photos,
        "pictures": {"drawn": asked.drawn, "photos": len(fine), "flawed": len(paths) - len(fine)},
        "refused": refused,
        "flawed": flawed,
        "versions": {name: metadata.version(name) for name in ("gesso", "numpy", "opencv-python-headless")},
    }
    line = json.dumps(found)
    print(line)  # noqa: T201 (the benchmark's result)
    if asked.record:
        with (ROOT / "reports" / "benchmarks" / "defect_study.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")


if __name__ == "__main__":
    main()
