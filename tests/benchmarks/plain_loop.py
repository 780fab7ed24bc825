"""Gesso's training against a plain loop in the manner of diffusers' example scripts, on the same pictures and model.

python tests/benchmarks/plain_loop.py [--method lora] [--steps N] [--batch N] [--side 1024] [--threads N] [--record]

The plain loop does at each step what `train_text_to_image.py` and `train_text_to_image_lora.py` of diffusers' examples
do: it reads each picture's file, decodes, resizes, crops, flips and scales it by Pillow and torchvision, encodes it by
the VAE and its caption by the text encoder, and learns with the default optimizer. Gesso's side is its whole loop over
the cached training set, from the read of a batch to the last row of the record, running average and all. Both train
the starter's UNet from the same weights, a step of one and a step of the other, so that other work on the machine meets
both. `ratio` is the median over the steps of the plain loop's seconds by gesso's; its bar is 1.5. `seconds_caching` is
what gesso took before, once, and `pays_after` the epochs after which it has been made up for.

How much is gained depends on the originals: reading them is what the plain loop does more. 1,024 px is SDXL's size, and
less than the short side of most photographs that people train on.
"""

import argparse
import copy
import io
import json
import os
import platform
import statistics
import tempfile
import time
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn import functional
from torchvision import transforms
from training_step import WARM, Alternating, now, since

from pipeline import imaging, models
from pipeline.methods import full, lora
from pipeline.settings import Buckets
from pipeline.stage import Tools, ensure
from pipeline.starter.pictures import picture
from pipeline.training.job import Job
from pipeline.training.painter import Painter
from pipeline.training.settings import TrainSettings
from pipeline.trainset import latents, texts
from pipeline.trainset.loader import ParquetExamples
from pipeline.workspace import Workspace

ROOT = Path(__file__).parents[2]
BAR = 1.5
PICTURES, SIDE = 48, 64
METHODS = {"lora": lora, "full": full}


def drawn(folder: Path, side: int) -> list[tuple[Path, str]]:
    """Files of drawn pictures as JPEG with `side` pixels, and their captions."""
    folder.mkdir()
    made = []
    for seed in range(PICTURES):
        one = picture(seed, side=side)
        path = folder / f"{seed}.jpg"
        Image.fromarray(one.pixels).save(path, quality=92)
        made.append((path, one.caption))
    return made


def cached(root: Path, files: list[tuple[Path, str]]) -> ParquetExamples:
    """The files' latents and captions as a training set of gesso's."""
    tools, rows = Tools(Workspace.create(root)), []
    for path, caption in files:
        sample_id = tools.workspace.keep_original(path.read_bytes())
        pixel_id = imaging.decode(tools.read(sample_id)).pixel_id
        ids = {"sample_id": sample_id, "pixel_id": pixel_id}
        rows.append({**ids, "view": 0, "transforms": "[]", "caption": caption, "repeats": 1})
    captions = [{"caption": one} for one in sorted({"", *(str(row["caption"]) for row in rows)})]
    moments = ensure(latents, rows, latents.Params(buckets=Buckets(resolution=SIDE)), tools, cache=True)  # type: ignore[arg-type]
    embeddings = ensure(texts, captions, texts.Params(), tools, cache=True)  # type: ignore[arg-type]
    return ParquetExamples(rows, moments, embeddings, digest="benchmark", scale=1.0)


def as_the_examples(side: int) -> transforms.Compose:
    """What the example scripts do to an opened picture."""
    return transforms.Compose(
        [
            transforms.Resize(side, interpolation=transforms.InterpolationMode.LANCZOS),
            transforms.RandomCrop(side),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize([0.5], [0.5]),
        ]
    )


class Plain:
    """The loop of an example script: all that a picture needs is done again at each step."""

    def __init__(self, unet: Any, files: list[tuple[Path, str]], *, batch: int, rate: float) -> None:
        self._vae = models.load_vae("starter")
        self._text, self._tokenizer = models.load_text_encoder("starter")
        self._scheduler = models.load_scheduler("starter")
        self._unet, self._files, self._batch = unet.train(), files, batch
        self._parameters = [one for one in unet.parameters() if one.requires_grad]
        self._optimizer = torch.optim.AdamW(self._parameters, lr=rate)
        self._schedule = torch.optim.lr_scheduler.ConstantLR(self._optimizer, factor=1.0)
        self._transforms = as_the_examples(SIDE)
        self._order = np.random.default_rng(0)
        self.seconds: list[tuple[float, float]] = []

    def step(self) -> None:
        """Take the next step and note its seconds."""
        began = now()
        chosen = [self._files[number] for number in self._order.choice(len(self._files), self._batch, replace=False)]
        pixels = torch.stack([self._transforms(self._opened(path)) for path, _ in chosen])
        ids = self._tokenizer(
            [caption for _, caption in chosen],
            padding="max_length",
            truncation=True,
            max_length=self._tokenizer.model_max_length,
            return_tensors="pt",
        ).input_ids
        with torch.no_grad():
            clean = self._vae.encode(pixels).latent_dist.sample() * self._vae.config.scaling_factor
            words = self._text(ids)[0]
        noise = torch.randn_like(clean)
        timesteps = torch.randint(0, self._scheduler.config.num_train_timesteps, (len(clean),))
        answer = self._unet(self._scheduler.add_noise(clean, noise, timesteps), timesteps, words).sample
        functional.mse_loss(answer.float(), noise.float()).backward()
        torch.nn.utils.clip_grad_norm_(self._parameters, 1.0)
        self._optimizer.step()
        self._schedule.step()
        self._optimizer.zero_grad()
        self.seconds.append(since(began))

    @staticmethod
    def _opened(path: Path) -> Image.Image:
        return Image.open(io.BytesIO(path.read_bytes())).convert("RGB")


def compare(method: str, asked: argparse.Namespace, root: Path) -> dict[str, float]:
    """Seconds a step of both sides, and the median of their ratios."""
    files = drawn(root / "pictures", asked.side)
    began = time.perf_counter()
    examples = cached(root / "workspace", files)
    caching = time.perf_counter() - began
    steps = asked.steps + WARM
    settings = TrainSettings(method=method, steps=steps, batch_size=asked.batch, checkpoint_every=steps)
    unet = models.load_trainable("unet", models.locate("starter"))
    other = copy.deepcopy(unet)
    if method == "lora":
        lora.add_adapters(Painter(other), settings)
    plain = Plain(other, files, batch=asked.batch, rate=settings.learning_rate or 1e-4)
    own = Alternating(plain)  # type: ignore[arg-type]
    job = Job(root / "training", progress=own.told)
    METHODS[method].train(Painter(unet), examples, models.load_scheduler("starter"), settings, job)
    pairs = list(zip(own.seconds, plain.seconds, strict=True))[WARM:]
    gesso, example = (statistics.median(one[0] for one in side) for side in zip(*pairs, strict=True))
    return {
        "ratio": round(statistics.median(b[0] / a[0] for a, b in pairs), 3),
        "ratio_processor": round(statistics.median(b[1] / a[1] for a, b in pairs), 3),
        "pictures_a_second": round(asked.batch / gesso, 1),
        "pictures_a_second_plain": round(asked.batch / example, 1),
        "seconds_caching": round(caching, 2),
        "pays_after": round(caching / ((example - gesso) * PICTURES / asked.batch), 1),
    }


def main() -> None:
    """Measure, print one JSON object, and with --record append it to the kept records."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", choices=METHODS, default="lora", help="what is trained")
    parser.add_argument("--steps", type=int, default=60, help="steps of each side")
    parser.add_argument("--batch", type=int, default=8, help="pictures a step")
    parser.add_argument("--side", type=int, default=1024, help="pixels of the originals")
    parser.add_argument("--threads", type=int, default=1, help="of torch; more than idle cores wait for each other")
    parser.add_argument("--record", action="store_true", help="append to reports/benchmarks/plain_loop.jsonl")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    with tempfile.TemporaryDirectory() as root:
        found = {
            "name": "plain_loop",
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            **compare(asked.method, asked, Path(root)),
            "bar": BAR,
            "method": asked.method,
            "batch": asked.batch,
            "side": asked.side,
            "threads": torch.get_num_threads(),
            "versions": {name: metadata.version(name) for name in ("torch", "diffusers", "peft", "gesso")},
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        }
    line = json.dumps(found)
    print(line)  # noqa: T201 (the benchmark's result)
    if asked.record:
        with (ROOT / "reports" / "benchmarks" / "plain_loop.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")


if __name__ == "__main__":
    main()
