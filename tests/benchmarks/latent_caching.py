"""The stage that caches latents against the bare VAE on the same pixels, batch by batch: pictures a second of both.

python tests/benchmarks/latent_caching.py [--side 256] [--pictures 48] [--rounds N] [--device cpu] [--record]

The VAE has the shape of Stable Diffusion's (84 million parameters) and random weights. The stage reads JPEGs of 1024
px, decodes them, fits them to their bucket, encodes and commits; the bare side encodes the same pixels, in batches as
large, from memory. The two take turns. `ratio` is the median of the rounds' ratios of pictures a second, and its limit
is 0.95. The stage decodes what comes while the VAE encodes what came, so a round has to have several batches: 16
pictures of 256 px are one, or 64 of 128 px. 512 px take four times as long on a CPU. On a GPU, ask for --side 512 and
more pictures.
"""

import argparse
import io
import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image

from pipeline import imaging, models
from pipeline.manifest import Row
from pipeline.settings import Buckets
from pipeline.stage import Tools, ensure
from pipeline.starter.pictures import clutter
from pipeline.trainset import encoders, latents, views
from pipeline.workspace import Workspace

ROOT = Path(__file__).parents[2]
LIMIT = 0.95
SOURCE_SIDE = 1024


def base(folder: Path) -> str:
    """The starter with a VAE of Stable Diffusion's shape."""
    shutil.copytree(models.locate("starter"), folder)
    shutil.rmtree(folder / "vae")
    torch.manual_seed(0)
    AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        latent_channels=4,
        sample_size=512,
    ).save_pretrained(folder / "vae")
    return str(folder)


def rows_of(workspace: Workspace, count: int) -> list[Row]:
    """Drawn JPEGs in the workspace, as the stage asks for them."""
    rows = []
    for seed in range(count):
        out = io.BytesIO()
        Image.fromarray(clutter(seed, side=SOURCE_SIDE)).save(out, "JPEG", quality=90)
        sample_id = workspace.keep_original(out.getvalue())
        pixel_id = imaging.decode(out.getvalue()).pixel_id
        rows.append({"sample_id": sample_id, "pixel_id": pixel_id, "view": 0, "transforms": "[]"})
    return rows


def main() -> None:
    """Measure, print one JSON object, and with --record append it to the kept records."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=256, help="side of the buckets, px")
    parser.add_argument("--pictures", type=int, default=48, help="pictures a round")
    parser.add_argument("--rounds", type=int, default=2, help="rounds of each side")
    parser.add_argument("--device", default="cpu", help="where the VAE works, such as cuda")
    parser.add_argument("--record", action="store_true", help="append to reports/benchmarks/latent_caching.jsonl")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        workspace = Workspace.create(Path(root) / "work")
        tools = Tools(workspace, device=asked.device, workers=os.cpu_count() or 1)
        rows = rows_of(workspace, asked.pictures)
        buckets = Buckets(resolution=asked.side)
        params = latents.Params(buckets=buckets, base=base(Path(root) / "base"))
        encode = encoders.pixels(params.base, revision=None, device=asked.device)
        pixels = np.stack(
            [
                views.make(imaging.decode(tools.read(row["sample_id"])).pixels, row["pixel_id"], 0, [], buckets).pixels
                for row in rows
            ]
        )
        batch = max(1, latents.BATCH_PIXELS // asked.side**2)

        def bare() -> None:
            for start in range(0, len(pixels), batch):
                encode(pixels[start : start + batch])

        def stage(number: int) -> None:
            ensure(latents, rows, params, tools, weights=str(number), cache=True, shard=64)  # type: ignore[arg-type]

        stage(-1)  # warm: threads, allocators, and the kernels that a GPU chooses
        bare()
        pairs = []
        for number in range(asked.rounds):
            seconds = {}
            for side in ("stage", "bare") if number % 2 else ("bare", "stage"):
                began = time.perf_counter()
                stage(number) if side == "stage" else bare()
                seconds[side] = time.perf_counter() - began
            pairs.append((seconds["stage"], seconds["bare"]))
    found: dict[str, Any] = {
        "name": "latent_caching",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "ratio": round(statistics.median(other / own for own, other in pairs), 4),
        "limit": LIMIT,
        "pictures_a_second": round(len(rows) / statistics.median(own for own, _ in pairs), 3),
        "pictures_a_second_bare": round(len(rows) / statistics.median(other for _, other in pairs), 3),
        "side": asked.side,
        "source_side": SOURCE_SIDE,
        "pictures": asked.pictures,
        "batch": batch,
        "rounds": asked.rounds,
        "device": torch.cuda.get_device_name() if asked.device.startswith("cuda") else asked.device,
        "threads": torch.get_num_threads(),
        "versions": {name: metadata.version(name) for name in ("torch", "diffusers", "gesso")},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }
    line = json.dumps(found)
    print(line)  # noqa: T201 (the benchmark's result)
    if asked.record:
        with (ROOT / "reports" / "benchmarks" / "latent_caching.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")


if __name__ == "__main__":
    main()
