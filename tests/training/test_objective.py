from types import SimpleNamespace

import pytest
import torch
from diffusers import DDPMScheduler
from diffusers.training_utils import compute_snr

from pipeline.errors import ModelError
from pipeline.training.objective import Objective

ALL = torch.arange(1000)


def scheduler(prediction="epsilon", **changes):
    config = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
    return DDPMScheduler(prediction_type=prediction, **{**config, **changes})


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_noising_and_targets_are_diffusers(prediction):
    objective = Objective.of(scheduler(prediction))
    draws = torch.Generator().manual_seed(0)
    latents, noise = torch.randn(1000, 4, 2, 3, generator=draws), torch.randn(1000, 4, 2, 3, generator=draws)
    reference = scheduler(prediction)
    assert torch.allclose(objective.noised(latents, noise, ALL), reference.add_noise(latents, noise, ALL), atol=1e-6)
    wanted = noise if prediction == "epsilon" else reference.get_velocity(latents, noise, ALL)
    assert torch.allclose(objective.target(latents, noise, ALL), wanted, atol=1e-6)
    assert torch.allclose(objective.snr(ALL), compute_snr(reference, ALL), rtol=1e-3)


@pytest.mark.parametrize("gamma", [0.5, 5.0, 20.0])
def test_min_snr_weights_agree_between_predictions_on_every_timestep(gamma):
    eps, v = (Objective.of(scheduler(one), gamma=gamma) for one in ("epsilon", "v_prediction"))
    snr = eps.snr(ALL)
    capped = snr.clamp(max=gamma)
    assert torch.allclose(eps.weights(ALL) * snr, capped, rtol=1e-5)
    assert torch.allclose(v.weights(ALL) * (snr + 1), capped, rtol=1e-5)


def test_without_gamma_every_timestep_weighs_one():
    assert torch.equal(Objective.of(scheduler()).weights(ALL), torch.ones(1000))


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_weights_are_finite_at_zero_terminal_snr(prediction):
    objective = Objective.of(scheduler(prediction, rescale_betas_zero_snr=True), gamma=5.0)
    assert objective.alphas[-1] < 1e-6
    whole = Objective(torch.cat([objective.alphas[:-1], torch.zeros(1)]), prediction, 5.0)
    for one in (objective, whole):
        assert one.weights(ALL).isfinite().all()
    assert whole.weights(ALL)[-1] == (1.0 if prediction == "epsilon" else 0.0)


def test_losses_are_the_weighted_mean_square_of_each_example():
    objective = Objective.of(scheduler(), gamma=5.0)
    noise, timesteps = torch.zeros(2, 4, 2, 2), torch.tensor([10, 900])
    answer = torch.stack([torch.full((4, 2, 2), 2.0), torch.full((4, 2, 2), 3.0)]).bfloat16()
    found = objective.losses(answer, noise, noise, timesteps)
    assert torch.allclose(found, objective.weights(timesteps) * torch.tensor([4.0, 9.0]))
    assert found.dtype == torch.float32
    assert found[1] == 9.0


def test_a_scheduler_that_predicts_pictures_is_refused():
    with pytest.raises(ModelError, match=r"prediction_type.*sample"):
        Objective.of(SimpleNamespace(config=SimpleNamespace(prediction_type="sample")))
