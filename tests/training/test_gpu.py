"""What only a GPU shows; each of these is skipped where torch sees none. Held against the same on the CPU."""

import importlib.util

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler
from PIL import Image

from pipeline import imaging, models, plan, sampling
from pipeline.methods import full, lora, textual_inversion
from pipeline.recipe import parse
from pipeline.run import Run
from pipeline.stage import Tools
from pipeline.starter.pictures import picture
from pipeline.steps.evaluation import Evaluation
from pipeline.training import optimizers
from pipeline.training.data import MemoryExamples
from pipeline.training.job import Job
from pipeline.training.settings import TrainSettings
from pipeline.workspace import Workspace

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")
METHODS = {"full": full, "lora": lora, "textual_inversion": textual_inversion}
SCHEDULER = DDPMScheduler(beta_schedule="scaled_linear")
SIDE = 16
WORD = {"placeholder": "<new>", "initial_words": "circle"}


def examples(count=12, side=SIDE):
    draws = torch.Generator().manual_seed(1)
    moments, text = torch.randn(count, 8, side, side, generator=draws), torch.randn(count, 77, 128, generator=draws)
    words = [f"a <new> number {number}" for number in range(count)]
    return MemoryExamples(moments, text, torch.zeros(77, 128), scale=0.5, words=words)


def train(folder, method, device, *, steps=6, side=SIDE, say=lambda words: None, on_checkpoint=None, **chosen):
    settings = TrainSettings(
        **{
            "method": method,
            "steps": steps,
            "batch_size": 4,
            "learning_rate": 1e-3,
            "checkpoint_every": 3,
            "warmup_steps": 0,
            **(WORD if method == "textual_inversion" else {}),
            **chosen,
        }
    )
    painter = models.load_painter(
        "starter",
        device=device,
        reads=method == "textual_inversion" or settings.text_encoder,
        precision=settings.mixed_precision,
        frozen=settings.frozen,
    )
    job = Job(folder, say=say, on_checkpoint=on_checkpoint)
    return METHODS[method].train(painter, examples(side=side), SCHEDULER, settings, job), painter


@pytest.mark.parametrize(
    "chosen",
    [
        {"method": "full"},
        {"method": "full", "ema_decay": 0.9, "gradient_checkpointing": True, "noise_offset": 0.1},
        {"method": "full", "text_encoder": True, "caption_dropout": 0.3},
        {"method": "full", "optimizer": "sgd"},
        {"method": "full", "optimizer": "adafactor", "learning_rate": 1e-2},
        {"method": "lora", "conv_rank": 4, "max_grad_norm": 0.01},
        {"method": "lora", "use_dora": True, "dropout": 0.0},
        {"method": "textual_inversion", "learning_rate": 1e-2},
    ],
    ids=str,
)
def test_a_gpu_learns_what_a_cpu_learns(chosen, tmp_path):
    one, _ = train(tmp_path / "gpu", device="cuda", **chosen)
    other, _ = train(tmp_path / "cpu", device="cpu", **chosen)
    assert one.losses == pytest.approx(other.losses, rel=2e-3)
    assert one.losses[0] != one.losses[-1]


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("method", ["full", "lora"])
def test_half_precision_learns_nearly_the_same(precision, method, tmp_path):
    exact, _ = train(tmp_path / "no", method, "cuda", steps=12)
    half, painter = train(tmp_path / precision, method, "cuda", steps=12, mixed_precision=precision)
    assert half.losses == pytest.approx(exact.losses, rel=0.05)
    assert {one.dtype for one in painter.parameters() if one.requires_grad} == {torch.float32}


@pytest.mark.parametrize("precision", ["no", "bf16", "fp16"])
def test_a_stopped_training_goes_on_with_the_same_losses(precision, tmp_path):
    class StoppedError(Exception):
        pass

    def stop(step, _):
        if step == 6:
            raise StoppedError

    whole, _ = train(tmp_path / "whole", "lora", "cuda", steps=9, mixed_precision=precision)
    with pytest.raises(StoppedError):
        train(tmp_path / "parts", "lora", "cuda", steps=9, mixed_precision=precision, on_checkpoint=stop)
    again, _ = train(tmp_path / "parts", "lora", "cuda", steps=9, mixed_precision=precision)
    assert again.losses == pytest.approx(whole.losses, rel=1e-3)


def test_clipping_in_the_fused_optimizer_is_torchs_own():
    norms, weights = [], []
    for fused in (True, False):
        torch.manual_seed(0)
        layer = torch.nn.Linear(8, 8, device="cuda")
        one = torch.optim.AdamW(layer.parameters(), lr=0.1, fused=fused)
        for step in range(3):
            (layer(torch.ones(4, 8, device="cuda") * (step + 1)).square().sum() * 100).backward()
            if fused:
                norms.append(float(optimizers.clip(_Plain(), one, limit=0.5)))
            else:
                assert float(torch.nn.utils.clip_grad_norm_(layer.parameters(), 0.5)) == pytest.approx(norms[step])
            one.step()
            one.zero_grad()
        weights.append(layer.weight.detach().clone())
    assert min(norms) > 0.5
    assert torch.allclose(*weights, atol=1e-6)


class _Plain:
    scaler = None

    def unscale_gradients(self):
        """There is no scale."""


def test_a_batch_that_a_real_gpu_does_not_hold_is_halved(tmp_path):
    heard = []
    whole, _ = train(tmp_path / "whole", "full", "cuda", steps=2, side=64, batch_size=8)
    most = torch.cuda.max_memory_reserved()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(0.6 * most / total)
    try:
        parts, _ = train(tmp_path / "parts", "full", "cuda", steps=2, side=64, batch_size=8, say=heard.append)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert any("memory ran out" in words for words in heard)
    assert parts.losses == pytest.approx(whole.losses, rel=1e-3)


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is None, reason="bitsandbytes is an extra")
def test_adam_with_states_of_8_bits_learns_nearly_the_same(tmp_path):
    exact, _ = train(tmp_path / "adamw", "full", "cuda", steps=12)
    light, _ = train(tmp_path / "adamw8bit", "full", "cuda", steps=12, optimizer="adamw8bit")
    assert light.losses == pytest.approx(exact.losses, rel=0.05)
    assert light.losses != exact.losses


def test_pictures_are_those_of_the_cpu_but_for_rounding():
    pairs = [("a big red circle on the left on a blue background", seed) for seed in (1, 2)]
    one, other = (
        np.stack(sampling.sample(models.load_pipeline("starter", device=device), pairs, steps=6, size=64)).astype(int)
        for device in ("cuda", "cpu")
    )
    assert np.abs(one - other).mean() < 1


@pytest.mark.slow
def test_a_whole_run_on_a_gpu_prepares_what_a_cpu_prepares(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for seed in range(8):
        Image.fromarray(picture(seed, side=96).pixels).save(photos / f"{seed}.png")
    recipe = parse(
        {
            "name": "gpu",
            "sources": [{"path": str(photos), "rights": {"license": "CC0-1.0"}}],
            "rights": {"allow": ["CC0-1.0"]},
            "dedup": {"near": None},
            "split": {"held_out": 0.2},
            "buckets": {"resolution": 64, "step": 8},
            "train": {"method": "lora", "steps": 4, "batch_size": 2, "checkpoint_every": 2, "mixed_precision": "bf16"},
            "evaluate": {"every": 2, "prompts": ["a red circle"], "seeds": [1, 2], "steps": 4},
        }
    )
    found = {}
    for device in ("cuda", "cpu"):
        run = Run.create(Workspace.create(tmp_path / device), recipe, command="test")
        for step in plan.ALL_STEPS:
            plan.do(run, step, Tools(run.workspace, device=device))
        found[device] = run
    captions = [[row["caption"] for row in run.rows("views")] for run in found.values()]
    assert captions[0] == captions[1]
    assert all(captions[0])
    losses = [run.json("training")["losses"] for run in found.values()]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)
    samples = [
        {
            (row["step"], row["seed"]): row["png"]
            for row in Evaluation(run, Tools(run.workspace), run.training).rows("samples")
        }
        for run in found.values()
    ]
    assert len(samples[0]) == 6
    assert samples[0].keys() == samples[1].keys()
    apart = [
        np.abs(imaging.decode(png).pixels.astype(int) - imaging.decode(samples[1][key]).pixels).mean()
        for key, png in samples[0].items()
    ]
    assert max(apart) < 12
