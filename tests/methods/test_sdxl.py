"""Both methods on a model of SDXL's shape, held against a plain step of diffusers and its own pipeline."""

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionXLPipeline
from safetensors import safe_open
from torch.nn import functional

from pipeline import models, sampling
from pipeline.methods import full, lora
from pipeline.training import weights
from pipeline.training.data import MemoryExamples, Turns
from pipeline.training.denoising import Denoising
from pipeline.training.gradients import Gradients
from pipeline.training.job import Job
from pipeline.training.noise import draw
from pipeline.training.objective import Objective
from pipeline.training.painter import Painter
from pipeline.training.session import session
from pipeline.training.settings import TrainSettings

CAPTIONS = ["a red circle", "a blue square", "two green stars"]
CUTS = [((200, 100), (32, 0), (64, 64)), ((64, 64), (0, 7), (64, 64)), ((640, 480), (3, 1), (64, 64))]
"""Of each picture its original size, where it was cut, and its target size: (height, width), (top, left)."""
PAIRS = [("a red circle", 1), ("a blue square", 2)]


def settings(method, **changes):
    shared = {"steps": 4, "batch_size": 2, "checkpoint_every": 2, "rank": 3, "alpha": 6.0, "caption_dropout": 0.0}
    return TrainSettings(**{"method": method, "learning_rate": 3e-2, **shared, **changes})


@pytest.fixture(scope="module")
def plain(sdxl):
    pipe = StableDiffusionXLPipeline.from_pretrained(sdxl)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def examples(plain):
    with torch.no_grad():
        text, _, pooled, _ = plain.encode_prompt(CAPTIONS, do_classifier_free_guidance=False)
    moments = torch.randn(3, 8, 16, 16, generator=torch.Generator().manual_seed(0))
    return MemoryExamples(
        moments,
        text,
        torch.zeros_like(text[0]),
        scale=0.13025,
        pooled=pooled,
        empty_pooled=torch.zeros_like(pooled[0]),
        time_ids=torch.tensor([[*original, *cut, *target] for original, cut, target in CUTS], dtype=torch.float32),
    )


def step_of_the_example(unet, pipe, examples, scheduler, rows, drawn):
    """Loss of examples/text_to_image/train_text_to_image_sdxl.py, in meaning, on the same random numbers."""

    def compute_time_ids(original, cut, target):
        return torch.tensor([list(original + cut + target)], dtype=torch.float32)

    text, _, pooled, _ = pipe.encode_prompt([CAPTIONS[row] for row in rows], do_classifier_free_guidance=False)
    conditions = {"text_embeds": pooled, "time_ids": torch.cat([compute_time_ids(*CUTS[row]) for row in rows])}
    noisy = scheduler.add_noise(drawn.latents, drawn.noise, drawn.timesteps)
    answer = unet(noisy, drawn.timesteps, text.detach(), added_cond_kwargs=conditions, return_dict=False)[0]
    return functional.mse_loss(answer.float(), drawn.noise.float(), reduction="mean")


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_steps_loss_and_gradients_are_those_of_diffusers_example(method, sdxl, plain, examples, tmp_path):
    chosen, scheduler = settings(method), models.load_scheduler(str(sdxl))
    ours, theirs = (models.load_trainable("unet", models.locate(str(sdxl))).train() for _ in range(2))
    for one in (ours, theirs):
        if method == "lora":
            torch.manual_seed(0)
            lora.add_adapters(Painter(one), chosen)
            # what an adapter begins with changes nothing, and gives half of it no gradient
            for name, value in one.named_parameters():
                if "lora_B" in name:
                    value.data.normal_(std=0.02, generator=torch.Generator().manual_seed(1))
    rows = Turns(examples, batch_size=2, seed=0).rows(0)
    drawn = draw(examples.batch(rows), examples, seed=0, turn=0)
    wanted = step_of_the_example(theirs, plain, examples, scheduler, rows, drawn)
    wanted.backward()
    with session(chosen, device=torch.device("cpu")) as accelerator:
        losses = Denoising(Painter(ours), examples, Objective.of(scheduler), chosen).losses
        gradients = Gradients(accelerator, examples, losses, chosen, tmp_path)
        assert gradients.accumulate(0) == pytest.approx(float(wanted.detach()), abs=1e-6)
    expected = {name: one.grad for name, one in theirs.named_parameters() if one.grad is not None}
    found = {name: one.grad for name, one in ours.named_parameters() if one.grad is not None}
    assert found.keys() == expected.keys()
    assert max(float(one.abs().max()) for one in expected.values()) > 1e-3
    largest = max(float(one.abs().max()) for one in expected.values())
    error = max(float((one - expected[name]).abs().max()) for name, one in found.items())
    assert error <= 1e-6 * max(1.0, largest)


@pytest.mark.parametrize("order", [[2, 3, 0, 1, 4, 5], [1, 0, 3, 2, 4, 5]], ids=["cut and original", "h and w"])
def test_exchanged_sizes_change_the_loss(order, sdxl, examples):
    chosen = settings("full")
    batch, exchanged = examples.batch([0, 2]), examples.batch([0, 2])
    object.__setattr__(exchanged, "time_ids", batch.time_ids[:, order])
    unet = models.load_trainable("unet", models.locate(str(sdxl)))
    denoising = Denoising(Painter(unet), examples, Objective.of(models.load_scheduler(str(sdxl))), chosen)
    with torch.no_grad():
        found = [denoising.losses(one, 0, torch.no_grad()) for one in (batch, exchanged)]
    assert (found[0] - found[1]).abs().max() > 1e-4


def paint(pipe):
    return np.stack(sampling.sample(pipe, PAIRS, steps=3, size=64, guidance=3.0)).astype(int)


ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
INSIDE = (*ATTENTION, "ff.net.0.proj", "ff.net.2", "proj_in", "proj_out", "conv1", "conv2", "conv")


@pytest.mark.parametrize("targets", [ATTENTION, INSIDE], ids=["attention", "all blocks"])
def test_an_adapter_paints_the_same_in_the_plain_pipeline_from_either_layout(targets, sdxl, plain, examples, tmp_path):
    painter = models.load_painter(str(sdxl))
    before = paint(plain)
    chosen = settings("lora", target_modules=targets)
    result = lora.train(painter, examples, models.load_scheduler(str(sdxl)), chosen, Job(tmp_path))
    wanted = paint(models.load_pipeline(str(sdxl), painter=painter))
    assert np.abs(wanted - before).mean() > 1
    again = models.load_pipeline(str(sdxl), painter=lora.load(models.load_painter(str(sdxl)), result.folder))
    assert np.abs(paint(again) - wanted).max() <= 1
    for file in (weights.LORA_FILE, weights.KOHYA_FILE):
        plain.load_lora_weights(result.folder, weight_name=file)
        found = paint(plain)
        plain.unload_lora_weights()
        assert np.abs(found - wanted).max() <= 1, file
    with safe_open(result.folder / weights.KOHYA_FILE, "pt") as opened:
        assert opened.metadata()["ss_base_model_version"] == "sdxl_base_v1-0"
        assert "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q.lora_down.weight" in opened.keys()  # noqa: SIM118
    assert np.array_equal(paint(plain), before)


class Killed(Exception):  # noqa: N818 - it stands for a signal
    pass


@pytest.mark.parametrize("method", [full, lora], ids=["full", "lora"])
def test_a_killed_training_ends_bitwise_as_an_undisturbed_one(method, sdxl, examples, tmp_path):
    chosen = settings(method.__name__.rpartition(".")[2], caption_dropout=0.5)

    def go(folder, on_checkpoint=None):
        unet, scheduler = models.load_trainable("unet", models.locate(str(sdxl))), models.load_scheduler(str(sdxl))
        found = method.train(Painter(unet), examples, scheduler, chosen, Job(folder, on_checkpoint=on_checkpoint))
        return unet.state_dict(), found.losses

    def kill(step, _unet):
        if step == 4:
            raise Killed

    straight, losses = go(tmp_path / "straight")
    with pytest.raises(Killed):
        go(tmp_path / "killed", kill)
    resumed, again = go(tmp_path / "killed")
    assert again == losses
    assert all(torch.equal(value, resumed[name]) for name, value in straight.items())


def test_without_a_negative_prompt_guidance_leads_away_from_zeros(plain, monkeypatch):
    seen = []
    real = plain.encode_prompt
    monkeypatch.setattr(plain, "encode_prompt", lambda *args, **more: seen.append(real(*args, **more)) or seen[-1])
    sampling.sample(plain, PAIRS[:1], steps=1, size=64, guidance=3.0)
    sampling.sample(plain, PAIRS[:1], steps=1, size=64, guidance=3.0, negative_prompt="a red circle")
    assert seen[0][1].abs().max() == seen[0][3].abs().max() == 0
    assert torch.equal(seen[1][1], seen[1][0])
    assert torch.equal(seen[1][3], seen[1][2])
