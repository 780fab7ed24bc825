"""Text encoders that learn along: the same step as a plain one, the same after a kill, and readable by others."""

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from safetensors import safe_open
from safetensors.torch import load_file
from torch.nn import functional

from pipeline import models, sampling
from pipeline.methods import full, lora
from pipeline.training import weights
from pipeline.training.data import MemoryExamples, Turns
from pipeline.training.job import Job
from pipeline.training.noise import draw
from pipeline.training.settings import TrainSettings

CAPTIONS = ["a red circle", "a blue square", "two green stars"]
PAIRS = [("a red circle", 1), ("a blue square", 2)]
METHODS = {"full": full, "lora": lora}


def settings(method, **changes):
    shared = {"steps": 4, "batch_size": 3, "checkpoint_every": 2, "rank": 3, "alpha": 6.0, "caption_dropout": 0.0}
    shared |= {"learning_rate": 3e-2 if method == "lora" else 1e-3, "text_encoder": True, "min_snr_gamma": None}
    return TrainSettings(**{"method": method, "lr_schedule": "constant", "warmup_steps": 0, **shared, **changes})


@pytest.fixture(scope="module", params=["sd", "sdxl"])
def base(request, sdxl):
    return "starter" if request.param == "sd" else str(sdxl)


@pytest.fixture(scope="module")
def examples(base):
    told = {"time_ids": torch.tensor([[64.0, 64, 0, 0, 64, 64]] * 3)} if base != "starter" else {}
    moments = torch.randn(3, 8, 16, 16, generator=torch.Generator().manual_seed(0))
    return MemoryExamples(
        moments, torch.zeros(3, 77, 1), torch.zeros(77, 1), scale=0.4, words=CAPTIONS, ids=["a", "b", "c"], **told
    )


def train(base, examples, chosen, folder, **more):
    painter, scheduler = models.load_painter(base, reads=True), models.load_scheduler(base)
    result = METHODS[chosen.method].train(painter, examples, scheduler, chosen, Job(folder, **more))
    return painter, result


def paint(pipe):
    return np.stack(sampling.sample(pipe, PAIRS, steps=3, size=64, guidance=3.0)).astype(int)


def test_a_step_is_a_plain_step_of_unet_and_encoders(base, examples, tmp_path):
    chosen = settings("full", steps=1, optimizer="sgd", max_grad_norm=0, weight_decay=0, text_encoder_lr=1e-4)
    ours, result = train(base, examples, chosen, tmp_path)

    pipe, scheduler = models.load_pipeline(base), models.load_scheduler(base)
    names = [name for name in ("unet", "text_encoder", "text_encoder_2") if getattr(pipe, name, None) is not None]
    for name in names:
        getattr(pipe, name).float().requires_grad_(requires_grad=True)
    rows = Turns(examples, batch_size=3, seed=0).rows(0)
    batch = examples.batch(rows)
    drawn = draw(batch, examples, seed=0, turn=0)
    if base == "starter":
        text, _ = pipe.encode_prompt([CAPTIONS[row] for row in rows], "cpu", 1, do_classifier_free_guidance=False)
        more = {}
    else:
        text, _, pooled, _ = pipe.encode_prompt([CAPTIONS[row] for row in rows], do_classifier_free_guidance=False)
        more = {"added_cond_kwargs": {"text_embeds": pooled, "time_ids": batch.time_ids}}
    noisy = scheduler.add_noise(drawn.latents, drawn.noise, drawn.timesteps)
    answer = pipe.unet(noisy, drawn.timesteps, text, **more).sample
    velocity = scheduler.config.prediction_type == "v_prediction"
    target = scheduler.get_velocity(drawn.latents, drawn.noise, drawn.timesteps) if velocity else drawn.noise
    loss = functional.mse_loss(answer, target)
    loss.backward()
    assert result.losses == pytest.approx([loss.item()], abs=1e-6)
    for name in names:
        rate = chosen.learning_rate if name == "unet" else 1e-4
        for (layer, one), (_, other) in zip(
            getattr(pipe, name).named_parameters(), ours.parts[name].named_parameters(), strict=True
        ):
            step = 0 if one.grad is None else rate * one.grad
            assert torch.allclose(one - step, other, atol=2e-6), (name, layer)
    before = models.load_painter(base, reads=True).texts.state_dict()
    moved = [name for name, one in ours.texts.state_dict().items() if not torch.equal(one, before[name])]
    assert len(moved) > len(before) / 3


class Killed(Exception):  # noqa: N818 - it stands for a signal
    pass


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_killed_training_ends_bitwise_as_an_undisturbed_one(method, base, examples, tmp_path):
    chosen = settings(method, steps=5, caption_dropout=0.5, ema_decay=0.9)
    straight, result = train(base, examples, chosen, tmp_path / "straight")

    def kill(step, _painter):
        if step == 4:
            raise Killed

    with pytest.raises(Killed):
        train(base, examples, chosen, tmp_path / "killed", on_checkpoint=kill)
    again, resumed = train(base, examples, chosen, tmp_path / "killed")
    assert resumed.losses == result.losses
    for name, one in straight.state_dict().items():
        assert torch.equal(one, again.state_dict()[name]), name


def test_whole_encoders_lie_beside_the_unet_and_open_anywhere(base, examples, tmp_path):
    painter, result = train(base, examples, settings("full"), tmp_path)
    for name in painter.texts.encoders:
        kind = type(painter.parts[name])
        opened = kind.from_pretrained(result.folder / name)
        for key, one in painter.parts[name].state_dict().items():
            assert torch.equal(one, opened.state_dict()[key]), key
        with safe_open(result.folder / name / weights.TRANSFORMERS_FILE, "pt") as file:
            assert "text_model.embeddings.token_embedding.weight" in file.keys()  # noqa: SIM118 - no mapping
    wanted = paint(models.load_pipeline(base, painter=painter))
    loaded = full.load(models.load_painter(base, reads=True), result.folder)
    assert (paint(models.load_pipeline(base, painter=loaded)) == wanted).all()
    assert np.abs(paint(models.load_pipeline(base)) - wanted).mean() > 1


def test_adapters_of_encoders_paint_the_same_in_the_plain_pipeline_from_either_layout(base, examples, tmp_path):
    plain: DiffusionPipeline = models.load_pipeline(base)
    before = paint(plain)
    chosen = settings("lora", learning_rate=1e-6, text_encoder_lr=0.1, steps=8)
    painter, result = train(base, examples, chosen, tmp_path)
    wanted = paint(models.load_pipeline(base, painter=painter))
    assert np.abs(wanted - before).mean() > 1
    again = lora.load(models.load_painter(base, reads=True), result.folder)
    assert np.abs(paint(models.load_pipeline(base, painter=again)) - wanted).max() <= 1
    for file in (weights.LORA_FILE, weights.KOHYA_FILE):
        plain.load_lora_weights(result.folder, weight_name=file)
        found = paint(plain)
        plain.unload_lora_weights()
        assert np.abs(found - wanted).max() <= 1, file
    with safe_open(result.folder / weights.KOHYA_FILE, "pt") as file:
        prefixes = {name.partition("_text_model")[0] for name in file.keys() if "_text_model" in name}  # noqa: SIM118
    assert prefixes == ({"lora_te"} if base == "starter" else {"lora_te1", "lora_te2"})


def test_dora_of_unet_and_encoders_opens_with_diffusers_and_with_gesso(base, examples, tmp_path):
    chosen = settings("lora", use_dora=True, conv_rank=2, target_blocks=["mid_block", "up_blocks.0"], steps=6)
    chosen = chosen.model_copy(update={"text_encoder_lr": 0.1})
    painter, result = train(base, examples, chosen, tmp_path)
    lengths = {name for name in dict(painter.named_parameters()) if "magnitude" in name}
    assert {name.partition(".")[0] for name in lengths} == {"unet", "texts"}
    wanted = paint(models.load_pipeline(base, painter=painter))
    again = lora.load(models.load_painter(base, reads=True), result.folder)
    there = {name.replace(".default_0", ".default"): one for name, one in again.state_dict().items()}
    assert {name for name, one in painter.state_dict().items() if not torch.equal(one, there[name])} == set()
    assert np.abs(paint(models.load_pipeline(base, painter=again)) - wanted).max() <= 1
    plain = models.load_pipeline(base)
    before = paint(plain)
    plain.load_lora_weights(result.folder, weight_name=weights.LORA_FILE)
    assert np.abs(paint(plain) - wanted).max() <= 1
    assert np.abs(before - wanted).mean() > 1
    opened = load_file(result.folder / weights.KOHYA_FILE)
    scales = {name for name in opened if name.endswith(".dora_scale")}
    assert {name.removesuffix(".dora_scale") for name in scales} == {name.partition(".")[0] for name in opened}
    assert len(scales) == len(lengths)


def test_encoders_that_are_not_at_work_stay_out_of_the_adapter(examples, base, tmp_path):
    painter = models.load_painter(base)
    config = lora.add_adapters(painter, settings("lora"))
    weights.save_lora(painter.parts, tmp_path, config=config, header={})
    with safe_open(tmp_path / weights.LORA_FILE, "pt") as file:
        assert {name.partition(".")[0] for name in file.keys()} == {"unet"}  # noqa: SIM118
