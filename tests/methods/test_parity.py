"""Both methods against a training written plainly with diffusers, peft and torch, on the same random numbers.

All micro-batches of a step go through the plain model in one pass, so that accumulation is tested, too. Weight decay is
on matrices alone, as `optimizers.build` says, unlike in diffusers' examples.
"""

from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest
import torch
from diffusers import DDPMScheduler
from diffusers.optimization import get_scheduler
from diffusers.training_utils import EMAModel, compute_snr
from peft import LoraConfig
from torch.nn import functional

from pipeline.methods import full, lora
from pipeline.training.data import MemoryExamples, Turns
from pipeline.training.denoising import Denoising
from pipeline.training.gradients import Gradients
from pipeline.training.job import Job
from pipeline.training.noise import draw
from pipeline.training.objective import Objective
from pipeline.training.painter import Painter
from pipeline.training.session import session
from pipeline.training.settings import TrainSettings

TOLERANCE = 1e-6
STEPS = 3
CASES = {
    "noise": {},
    "noise, min-SNR": {"min_snr_gamma": 5.0},
    "velocity": {"prediction": "v_prediction"},
    "velocity, min-SNR": {"prediction": "v_prediction", "min_snr_gamma": 5.0},
    "velocity to noise alone": {"prediction": "v_prediction", "min_snr_gamma": 5.0, "zero_terminal_snr": True},
    "accumulated": {"gradient_accumulation": 3, "min_snr_gamma": 5.0},
    "noise offset, captions dropped": {"noise_offset": 0.1, "caption_dropout": 0.5},
    "clipped, decayed": {"max_grad_norm": 0.01, "weight_decay": 0.5},
    "Huber, min-SNR": {"loss": "huber", "huber_c": 0.05, "min_snr_gamma": 5.0},
    "Adafactor, restarts": {"optimizer": "adafactor", "lr_schedule": "cosine_with_restarts", "lr_cycles": 2},
    "averaged, SGD": {"ema_decay": 0.9, "optimizer": "sgd", "learning_rate": 1e-2, "lr_schedule": "linear"},
}


def chosen(method, **changes):
    defaults = {
        "method": method,
        "steps": STEPS,
        "batch_size": 2,
        "learning_rate": 1e-4,
        "lr_schedule": "cosine",
        "warmup_steps": 1,
        "caption_dropout": 0.0,
        "min_snr_gamma": None,
        "rank": 3,
        "alpha": 6.0,
        "checkpoint_every": STEPS,
    }
    return TrainSettings(**{**defaults, **changes})


@pytest.fixture(params=CASES.values(), ids=CASES)
def case(request):
    changes = {"prediction": "epsilon", **request.param}
    scheduler = DDPMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        prediction_type=changes.pop("prediction"),
        rescale_betas_zero_snr=changes.get("zero_terminal_snr", False),
    )
    return SimpleNamespace(scheduler=scheduler, changes=changes)


@pytest.fixture
def shifted(examples):
    """Five examples in batches of 2, so that an epoch ends with a short one; latents are shifted, too."""
    return MemoryExamples(examples.moments, examples.text, examples.empty_text, scale=0.5, shift=0.3)


def plain(unet, examples, scheduler, settings):
    """Train `unet` for all steps; returns losses, the first step's gradients, all norms, and the averaged weights."""
    if settings.method == "lora":
        torch.manual_seed(settings.seed)
        unet.requires_grad_(requires_grad=False)
        unet.add_adapter(
            LoraConfig(
                r=settings.rank,
                lora_alpha=settings.alpha,
                target_modules=["to_q", "to_k", "to_v", "to_out.0"],
                init_lora_weights="gaussian",
            )
        )
    parameters = [one for one in unet.parameters() if one.requires_grad]
    groups = [
        {"params": [one for one in parameters if one.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [one for one in parameters if one.ndim == 1], "weight_decay": 0.0},
    ]
    kinds = {
        "adamw": torch.optim.AdamW,
        "adafactor": torch.optim.Adafactor,
        "sgd": lambda groups, lr: torch.optim.SGD(groups, lr, momentum=0.9),
    }
    optimizer = kinds[settings.optimizer]([group for group in groups if group["params"]], lr=settings.learning_rate)
    rates = get_scheduler(
        settings.lr_schedule,
        optimizer,
        num_warmup_steps=settings.warmup_steps,
        num_training_steps=settings.steps,
        num_cycles=settings.lr_cycles,
    )
    ema = EMAModel(parameters, decay=settings.ema_decay) if settings.ema_decay else None
    turns = Turns(examples, batch_size=settings.batch_size, seed=settings.seed)
    losses, gradients, norms = [], None, []
    for step in range(settings.steps):
        each = settings.gradient_accumulation
        batches = [examples.batch(turns.rows(turn)) for turn in range(step * each, (step + 1) * each)]
        drawn = [
            draw(
                batch,
                examples,
                seed=settings.seed,
                turn=turn,
                noise_offset=settings.noise_offset,
                caption_dropout=settings.caption_dropout,
            )
            for turn, batch in enumerate(batches, step * each)
        ]
        latents, noise, timesteps = (
            torch.cat([getattr(one, name) for one in drawn]) for name in ("latents", "noise", "timesteps")
        )
        text = torch.cat([batch.text for batch in batches])
        if settings.caption_dropout:
            text[torch.cat([one.dropped for one in drawn])] = examples.empty_text
        noisy = scheduler.add_noise(latents, noise, timesteps)
        velocity = scheduler.config.prediction_type == "v_prediction"
        target = scheduler.get_velocity(latents, noise, timesteps) if velocity else noise
        answer = unet(noisy, timesteps, encoder_hidden_states=text).sample
        loss = functional.mse_loss(answer, target, reduction="none")
        if settings.loss == "huber":  # as in diffusers' examples/dreambooth
            loss = 2 * settings.huber_c * (torch.sqrt((answer - target) ** 2 + settings.huber_c**2) - settings.huber_c)
        loss = loss.mean(dim=(1, 2, 3))
        if settings.min_snr_gamma:
            snr = compute_snr(scheduler, timesteps)
            capped = torch.stack([snr, settings.min_snr_gamma * torch.ones_like(snr)], dim=1).min(dim=1)[0]
            loss = loss * capped / (snr + 1 if velocity else snr)
        loss.mean().backward()
        losses.append(float(loss.detach().mean()))
        if step == 0:
            gradients = {name: one.grad.clone() for name, one in unet.named_parameters() if one.requires_grad}
        norms.append(float(torch.nn.utils.clip_grad_norm_(parameters, settings.max_grad_norm)))
        optimizer.step()
        rates.step()
        optimizer.zero_grad()
        if ema:
            ema.step(parameters)
    return SimpleNamespace(losses=losses, gradients=gradients, norms=norms, ema=ema and ema.shadow_params)


@pytest.mark.parametrize("method", [full, lora], ids=["full", "lora"])
def test_losses_gradients_and_weights_are_those_of_a_plain_training(method, case, tiny_unet, shifted, tmp_path):
    name = method.__name__.rpartition(".")[2]
    settings = chosen(name, **case.changes)
    theirs = tiny_unet().train()
    wanted = plain(theirs, shifted, case.scheduler, settings)

    with session(settings, device=torch.device("cpu")) as accelerator:
        ours = tiny_unet().train()
        if method is lora:
            torch.manual_seed(settings.seed)
            lora.add_adapters(Painter(ours), settings)
        objective = Objective.chosen(case.scheduler, settings)
        losses = Denoising(Painter(ours), shifted, objective, settings).losses
        gradients = Gradients(accelerator, shifted, losses, settings, tmp_path)
        assert gradients.accumulate(0) == pytest.approx(wanted.losses[0], abs=TOLERANCE)
        found = {key: one for key, one in ours.named_parameters() if one.requires_grad}
        assert found.keys() == wanted.gradients.keys()
        largest = max(float(one.abs().max()) for one in wanted.gradients.values())
        error = max(float((one.grad - wanted.gradients[key]).abs().max()) for key, one in found.items())
        assert error <= TOLERANCE * min(1.0, 1000 * largest)

    trained = tiny_unet()
    result = method.train(Painter(trained), shifted, case.scheduler, settings, Job(tmp_path))
    assert result.losses == pytest.approx(wanted.losses, abs=TOLERANCE)
    told = pq.read_table(tmp_path / "metrics.parquet").to_pylist()
    assert [row["value"] for row in told if row["name"] == "train/grad_norm"] == pytest.approx(wanted.norms, rel=1e-5)
    expected = dict(theirs.named_parameters())
    if settings.ema_decay:
        raw = [one for one in theirs.parameters() if one.requires_grad]
        for one, value in zip(raw, wanted.ema, strict=True):
            one.data.copy_(value)
    for key, one in trained.named_parameters():
        assert torch.allclose(one, expected[key], rtol=0, atol=TOLERANCE), key
    start = {key: one.detach() for key, one in tiny_unet().named_parameters()}
    start |= {key: torch.zeros_like(one) for key, one in trained.named_parameters() if "lora_B" in key}
    moved = {key for key, one in trained.named_parameters() if not torch.equal(one, start.get(key, one))}
    assert len(moved) > len(start) / 2 if method is full else moved == {key for key in start if "lora_B" in key}
