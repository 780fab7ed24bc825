"""Item 5 of the notes: SNR weights; velocity; schedules that end in noise alone."""

import json
from types import SimpleNamespace

import pytest
import torch
from diffusers import DDPMScheduler, PNDMScheduler

from pipeline import models
from pipeline.training.objective import Objective

ALL = torch.arange(1000)
GAMMA = 5.0
WHERE = "pipeline.training.objective:Objective."
SCHEDULER, PIPELINE = "pipeline.models:load_scheduler", "pipeline.models:load_pipeline"


def objective(prediction, *, zero=False, gamma=GAMMA):
    scheduler = DDPMScheduler(beta_schedule="scaled_linear", prediction_type=prediction, rescale_betas_zero_snr=zero)
    return Objective.of(scheduler, gamma=gamma)


def weights_of_both_predictions_mean_the_same(_tiny):
    for zero in (False, True):
        noise, velocity = objective("epsilon", zero=zero), objective("v_prediction", zero=zero)
        alphas = noise.alphas.double()
        snr = alphas / (1 - alphas)
        capped = snr.clamp(max=GAMMA)
        assert torch.allclose(noise.weights(ALL) * snr, capped, rtol=1e-3)
        assert torch.allclose(velocity.weights(ALL) * (snr + 1), capped, rtol=1e-3)
        assert torch.equal(objective("epsilon", gamma=None).weights(ALL), torch.ones(1000))
        assert float(noise.weights(ALL).max()) == 1.0


def weights_are_finite_at_zero_snr(_tiny):
    for prediction, last in (("epsilon", 1.0), ("v_prediction", 0.0)):
        found = objective(prediction, zero=True).weights(ALL)
        assert found.isfinite().all()
        assert float(found[-1]) == last


def velocity_and_noisy_latents_give_picture_and_noise_back(_tiny):
    one = objective("v_prediction", zero=True)
    draws = torch.Generator().manual_seed(0)
    latents, noise = torch.randn(2, 1000, 4, 2, 2, generator=draws)
    noisy, velocity = one.noised(latents, noise, ALL), one.target(latents, noise, ALL)
    alphas = one.alphas.view(-1, 1, 1, 1)
    assert torch.allclose(alphas.sqrt() * noisy - (1 - alphas).sqrt() * velocity, latents, atol=1e-5)
    assert torch.allclose((1 - alphas).sqrt() * noisy + alphas.sqrt() * velocity, noise, atol=1e-5)
    assert torch.equal(noisy[-1], noise[-1])
    assert torch.equal(velocity[-1], -latents[-1])
    assert torch.equal(objective("epsilon").target(latents, noise, ALL), noise)


def schedules_end_in_noise_alone_where_asked(tiny):
    """By the recipe, or by the model itself; samples begin there."""
    sampler = PNDMScheduler(beta_schedule="scaled_linear", prediction_type="v_prediction")
    pipe = SimpleNamespace(scheduler=sampler, set_progress_bar_config=lambda **_: None, to=lambda _: pipe)
    (tiny.folder / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline"}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "locate", lambda *_, **__: tiny.folder)
        patch.setattr(models.StableDiffusionPipeline, "from_pretrained", lambda *_, **__: pipe)
        for own, asked in ((False, False), (False, True), (True, False)):
            told = {**sampler.config, **({"rescale_betas_zero_snr": True} if own else {})}
            (tiny.folder / "scheduler").mkdir(exist_ok=True)
            (tiny.folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(told))
            pipe.scheduler = DDPMScheduler.from_config(told) if own else sampler
            alphas = models.load_scheduler("x", zero_terminal_snr=asked).alphas_cumprod
            sampled = models.load_pipeline("x", zero_terminal_snr=asked).scheduler
            assert (alphas[-1] == 0) == (own or asked)
            assert torch.equal(sampled.alphas_cumprod, alphas)
            if own or asked:
                sampled.set_timesteps(7)
                assert sampled.timesteps[0] == 999
                far = torch.full((1, 4, 2, 2), 3.0)
                # at noise alone the velocity is the picture with its sign turned
                assert torch.allclose(sampled.step(-far, 999, torch.randn_like(far)).pred_original_sample, far)


TRAPS = {
    weights_of_both_predictions_mean_the_same: {
        "the noise's formula for velocity": (WHERE + "_weights", "/ (snr + 1)", "/ snr"),
        "plus one after the division": (WHERE + "_weights", "/ (snr + 1)", "/ snr + 1"),
        "the velocity's formula for noise": (WHERE + "_weights", "(self.gamma / snr)", "(self.gamma / (snr + 1))"),
        "the larger of the two": (WHERE + "_weights", "clamp(max=1.0)", "clamp(min=1.0)"),
        "the root of the ratio": (WHERE + "snr", "alphas / (1 - alphas)", "(alphas / (1 - alphas)).sqrt()"),
        "gamma forgotten": (WHERE + "_weights", "self.gamma is None", "self.gamma is not None"),
        "gamma lost": (WHERE + "of", "prediction, gamma, huber)", "prediction, None, huber)"),
    },
    weights_are_finite_at_zero_snr: {
        "0 / 0": (WHERE + "_weights", "(self.gamma / snr).clamp(max=1.0)", "snr.clamp(max=self.gamma) / snr"),
        "0 / 0 of velocity": (WHERE + "_weights", "/ (snr + 1)", "/ snr"),
    },
    velocity_and_noisy_latents_give_picture_and_noise_back: {
        "the sign": (WHERE + "target", "signal * noise - spread", "signal * noise + spread"),
        "noise and latents exchanged": (
            WHERE + "target",
            "signal * noise - spread * latents",
            "signal * latents - spread * noise",
        ),
        "the target is always the noise": (WHERE + "target", 'self.prediction == "epsilon"', "True"),
        "the schedule without its roots": (WHERE + "_all_roots", "alphas.sqrt(), (1 - alphas)", "alphas, (1 - alphas)"),
        "a last timestep held above 0": (WHERE + "of", ".float()", ".float().clamp(min=1e-4)"),
    },
    schedules_end_in_noise_alone_where_asked: {
        "the recipe is not heard": (SCHEDULER, 'wanted["rescale_betas_zero_snr"] = True', "pass"),
        "the model is not heard": (SCHEDULER, "if name in known", 'if name in known and "zero" not in name'),
        "samples by the old schedule": (PIPELINE, "rescale_betas_zero_snr=True", "rescale_betas_zero_snr=False"),
        "samples of a recipe by the old schedule": (PIPELINE, "if zero_terminal_snr or ", "if "),
        "samples of a model by the old schedule": (PIPELINE, "if zero_terminal_snr or", "if zero_terminal_snr and"),
        "samples begin before the end": (PIPELINE, '"trailing"', '"leading"'),
        "samples are cut to -1 to 1": (PIPELINE, "clip_sample=False", "clip_sample=True"),
    },
}


def test_it_holds(check, tiny):
    check(tiny)


def test_a_planted_bug_is_found(check, bug, tiny, plant):
    with plant(*bug), pytest.raises(AssertionError):
        check(tiny)
