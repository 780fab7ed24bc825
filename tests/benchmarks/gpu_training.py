"""Training on a GPU with the published shapes of Stable Diffusion 1.5 and XL: how fast, how near to what it can do.

python tests/benchmarks/gpu_training.py [--family sd1] [--steps N] [--batch N] [--workers N] [--turns N] [--record]

The weights are drawn, not learned, which changes no time. Pictures are drawn, too, as JPEG of 1,024 px (sd1, which sees
512) or 1,280 (sdxl, which sees 1,024), and go through the real steps up to the training set, at
`caching_pictures_a_second`, the loading of the models counted.

* `bare`: for all weights and for an adapter, in bf16, gesso's whole loop from the read of a batch to the last row of
  the record against forward, backward and fused AdamW on tensors that lie on the GPU, with nothing that waits for the
  GPU. The sides take turns, each from new weights; the best of each counts. `overhead` is gesso's time by the bare
  one's, less 1 (limit 0.03); `share_of_peak` is the floating-point operations of a step, as torch counts them, by
  gesso's time and by what products of matrices of 8,192 x 8,192 in bf16 reach on this GPU in the same run.
* `plain`: against a loop in the manner of diffusers' `train_text_to_image_lora.py` and `..._lora_sdxl.py`, which
  decodes each picture and encodes it and its caption in every step, with so many workers as `--workers` says (theirs:
  none). Its VAE computes in bf16 for sd1 and in float32 for sdxl, as theirs. `ratio` is gesso's pictures a second by
  its (bar 1.5).
"""

import argparse
import json
import platform
import statistics
import tempfile
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import _gpu
import _published
import torch
from _gpu import DEVICE, SHAPES, WARM, Made, now, painter_of, room, settings_of, train
from PIL import Image
from plain_loop import as_the_examples
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode

from pipeline import models
from pipeline.methods import lora
from pipeline.training.noise import draw
from pipeline.training.objective import Objective
from pipeline.training.painter import Painter
from pipeline.training.settings import TrainSettings

ROOT = Path(__file__).parents[2]
LIMIT, BAR = 0.03, 1.5
"""The most that the loop may add to a bare one; the least that it must be faster than a plain one."""


class Bare:
    """Forward, backward and step on tensors that lie on the GPU."""

    def __init__(self, painter: Painter, made: Made, settings: TrainSettings) -> None:
        if settings.method == "lora":
            lora.add_adapters(painter, settings)
        self._painter, objective, examples = painter, Objective.of(made.scheduler), made.examples
        batch = examples.batch(list(range(settings.batch_size)))
        drawn = draw(batch, examples, seed=0, turn=0)
        noisy = objective.noised(drawn.latents, drawn.noise, drawn.timesteps)
        self._noisy, self._noise, self._timesteps = (one.to(DEVICE) for one in (noisy, drawn.noise, drawn.timesteps))
        self._told = painter.told(batch, examples).arguments()
        parameters = [one for one in painter.parameters() if one.requires_grad]
        self._optimizer = torch.optim.AdamW(parameters, lr=1e-6, fused=True)
        painter.train()

    def step(self) -> None:
        """One step."""
        answer = self._painter.unet(self._noisy, self._timesteps, **self._told).sample
        functional.mse_loss(answer, self._noise).backward()
        self._optimizer.step()
        self._optimizer.zero_grad()

    def seconds(self, steps: int) -> float:
        """Seconds a step."""
        for _ in range(WARM):
            self.step()
        began = now()
        for _ in range(steps):
            self.step()
        return (now() - began) / steps

    def flops(self) -> int:
        """Floating-point operations of a step."""
        with FlopCounterMode(display=False) as counter:
            self.step()
        return int(counter.get_total_flops())


def peak() -> float:
    """Floating-point operations a second that large products of matrices in bf16 reach on this GPU."""
    one, other = (torch.randn(8192, 8192, device=DEVICE, dtype=torch.bfloat16) for _ in range(2))
    found = []
    for turn in range(13):
        began = now()
        for _ in range(10):
            one @ other
        if turn > 2:
            found.append((now() - began) / 10)
    return 2 * 8192**3 / statistics.median(found)


def against_bare(kind: Any, made: Made, asked: argparse.Namespace, best: float) -> dict[str, Any]:
    """Overhead and speed for all weights and for an adapter."""
    found = {}
    for method in ("full", "lora"):
        settings = settings_of({"method": method}, steps=asked.steps + WARM, batch=asked.batch)
        seconds: dict[str, list[float]] = {"bare": [], "gesso": []}
        flops = 0
        for turn in range(asked.turns):
            with room():
                bare = Bare(painter_of(kind, settings), made, settings)
                seconds["bare"].append(bare.seconds(asked.steps))
                flops = flops or bare.flops()
                del bare
            with room():
                seconds["gesso"].append(train(painter_of(kind, settings), made, settings))
            print(method, turn, seconds, flush=True)  # noqa: T201 (so that one sees it go on)
        own, least = min(seconds["gesso"]), min(seconds["bare"])
        found[method] = {
            "overhead": round(own / least - 1, 4),
            "seconds": seconds,
            "pictures_a_second": round(asked.batch / own, 2),
            "tflop_a_step": round(flops / 1e12, 2),
            "share_of_peak": round(flops / own / best, 3),
        }
    return found


class Files(Dataset[Any]):
    """Pictures and captions as the example scripts read them."""

    def __init__(self, files: list[tuple[Path, str]], resolution: int, times: int) -> None:
        self._files = files * times
        self._transforms = as_the_examples(resolution)

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, at: int) -> Any:
        path, caption = self._files[at]
        return self._transforms(Image.open(path).convert("RGB")), caption


def plain(kind: Any, made: Made, asked: argparse.Namespace) -> float:
    """Seconds a step of a loop in the manner of the example scripts, with an adapter."""
    steps, xl, resolution = asked.steps + WARM, kind.name == "sdxl", SHAPES[kind.name].resolution
    painter = painter_of(kind, settings_of({"method": "lora"}, steps=steps, batch=asked.batch))
    lora.add_adapters(painter, TrainSettings(method="lora"))
    texts = models.load_texts(str(made.base), device=DEVICE).to(torch.bfloat16)
    vae = models.load_vae(str(made.base), device=DEVICE, dtype="float32" if xl else "bfloat16")
    files = Files(made.files, resolution, -(-steps * asked.batch // len(made.files)))
    parameters = [one for one in painter.parameters() if one.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-6)
    painter.train()
    began = 0.0
    data = iter(DataLoader(files, asked.batch, shuffle=True, num_workers=asked.workers))
    for step in range(steps):
        if step == WARM:
            began = now()
        pixels, captions = next(data)
        with torch.no_grad():
            latents = vae.encode(pixels.to(DEVICE, vae.dtype)).latent_dist.sample() * vae.config.scaling_factor
            hidden, pooled = texts(captions)
        latents = latents.float()
        noise = torch.randn_like(latents)
        timesteps = torch.randint(0, 1000, (len(latents),), device=DEVICE)
        more = {}
        if xl:
            sizes = torch.tensor([[resolution, resolution, 0, 0, resolution, resolution]] * len(latents), device=DEVICE)
            more = {"added_cond_kwargs": {"text_embeds": pooled, "time_ids": sizes}}
        noisy = made.scheduler.add_noise(latents, noise, timesteps)
        answer = painter.unet(noisy, timesteps, encoder_hidden_states=hidden, **more).sample
        loss = functional.mse_loss(answer.float(), noise.float())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        loss.detach().item()  # as theirs, which show it at each step
    return (now() - began) / asked.steps


def against_plain(kind: Any, made: Made, asked: argparse.Namespace) -> dict[str, Any]:
    """Pictures a second of both, with an adapter."""
    settings = settings_of({"method": "lora"}, steps=asked.steps + WARM, batch=asked.batch)
    with room():
        example = plain(kind, made, asked)
        models.release()
    with room():
        own = train(painter_of(kind, settings), made, settings)
    return {
        "ratio": round(example / own, 3),
        "pictures_a_second": round(asked.batch / own, 2),
        "pictures_a_second_plain": round(asked.batch / example, 2),
        "workers": asked.workers,
    }


def main() -> None:
    """Measure, print one JSON object, and with --record append it to the kept records."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", choices=SHAPES, default="sd1", help="whose shapes")
    parser.add_argument("--steps", type=int, default=20, help="counted steps of each side")
    parser.add_argument("--batch", type=int, help="examples a step; left out, 16 for sd1 and 4 for sdxl")
    parser.add_argument("--workers", type=int, default=0, help="of the plain loop; the example scripts have none")
    parser.add_argument("--turns", type=int, default=2, help="how often each side is timed")
    parser.add_argument("--record", action="store_true", help="append to reports/benchmarks/gpu_training.jsonl")
    asked = parser.parse_args()
    if not torch.cuda.is_available():
        parser.exit(0, "no GPU is at hand: nothing is measured\n")
    kind = _published.KINDS[asked.family]
    asked.batch = asked.batch or SHAPES[asked.family].batch
    with tempfile.TemporaryDirectory() as root:
        made = _gpu.ready(kind, Path(root), count=max(32, asked.batch))
        best = peak()
        found = {
            "name": "gpu_training",
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "family": asked.family,
            "batch": asked.batch,
            "resolution": SHAPES[asked.family].resolution,
            "steps": asked.steps,
            "gpu": torch.cuda.get_device_name(),
            "peak_tflops": round(best / 1e12, 1),
            "caching_pictures_a_second": round(made.caching, 2),
            "bare": against_bare(kind, made, asked, best),
            "limit": LIMIT,
            "plain": against_plain(kind, made, asked),
            "bar": BAR,
        }
    found["versions"] = {name: metadata.version(name) for name in ("torch", "diffusers", "peft", "transformers")}
    found["python"] = platform.python_version()
    line = json.dumps(found)
    print(line)  # noqa: T201 (the benchmark's result)
    if asked.record:
        with (ROOT / "reports" / "benchmarks" / "gpu_training.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")


if __name__ == "__main__":
    main()
