from types import SimpleNamespace

import pytest
import torch
from diffusers import DDPMScheduler

from pipeline.errors import GessoError
from pipeline.training import checkpoints
from pipeline.training.data import MemoryExamples
from pipeline.training.denoising import Denoising
from pipeline.training.gradients import Gradients
from pipeline.training.job import Job
from pipeline.training.noise import draw, generator
from pipeline.training.objective import Objective
from pipeline.training.painter import Painter
from pipeline.training.session import session
from pipeline.training.settings import TrainSettings

OBJECTIVE = Objective.of(DDPMScheduler())


class Linear(torch.nn.Module):
    """The smallest model that answers like a UNet."""

    def __init__(self, dropout=0.0):
        super().__init__()
        self.device = torch.device("cpu")
        self.factor = torch.nn.Parameter(torch.tensor(0.5))
        self.dropout = torch.nn.Dropout(dropout)

    def forward(self, noisy, timesteps, encoder_hidden_states):
        return SimpleNamespace(sample=self.dropout(self.factor * noisy) + encoder_hidden_states.mean())


@pytest.fixture
def examples():
    draws = torch.Generator().manual_seed(1)
    # seven examples of two sizes: batches of 3 end short
    moments = [torch.randn(8, 4, 4 + row % 2, generator=draws) for row in range(7)]
    return MemoryExamples(moments, torch.zeros(7, 77, 2), torch.zeros(77, 2), scale=0.5)


def accumulate(examples, folder, *, step=0, unet=None, **changes):
    settings = TrainSettings(**{"batch_size": 3, "gradient_accumulation": 3, "min_snr_gamma": None, **changes})
    unet = unet or Linear()
    with session(settings, device=torch.device("cpu")) as accelerator:
        objective = Objective.of(DDPMScheduler(), gamma=settings.min_snr_gamma)
        losses = Denoising(Painter(unet), examples, objective, settings).losses
        gradients = Gradients(accelerator, examples, losses, settings, folder)
        loss = gradients.accumulate(step)
    return loss, unet, gradients


def test_every_example_weighs_the_same_also_in_short_batches(examples, tmp_path):
    loss, unet, gradients = accumulate(examples, tmp_path)
    factor = torch.tensor(0.5, requires_grad=True)
    losses = []
    for turn in range(3):
        batch = examples.batch(gradients.turns.rows(turn))
        drawn = draw(batch, examples, seed=0, turn=turn)
        noisy = OBJECTIVE.noised(drawn.latents, drawn.noise, drawn.timesteps)
        losses += [(factor * one - noise).square().mean() for one, noise in zip(noisy, drawn.noise, strict=True)]
    assert {len(gradients.turns.rows(turn)) for turn in range(3)} == {1, 3}
    assert len(losses) == 7
    mean = torch.stack(losses).mean()
    mean.backward()
    assert loss == pytest.approx(float(mean.detach()), rel=1e-5)
    assert float(unet.factor.grad) == pytest.approx(float(factor.grad), rel=1e-5)


def test_a_step_does_not_depend_on_what_was_drawn_before(examples, tmp_path):
    first = accumulate(examples, tmp_path, step=5, unet=Linear(dropout=0.5))[0]
    torch.manual_seed(99)
    assert accumulate(examples, tmp_path, step=5, unet=Linear(dropout=0.5))[0] == first
    assert accumulate(examples, tmp_path, step=6, unet=Linear(dropout=0.5))[0] != first


def test_dropout_and_noise_are_drawn_from_different_streams(examples, tmp_path):
    unet, seen = Linear(), []
    unet.register_forward_hook(lambda *_: seen.append(torch.randn(64)))
    accumulate(examples, tmp_path, unet=unet)
    for turn, inside in enumerate(seen):
        assert not torch.equal(inside, torch.randn(64, generator=generator(0, turn)))
    assert len({one[0].item() for one in seen}) == len(seen) == 3


def test_zero_terminal_snr_is_not_asked_for_in_vain(examples, tmp_path):
    with pytest.raises(ValueError, match="rescale_betas_zero_snr"):
        accumulate(examples, tmp_path, zero_terminal_snr=True)


def test_min_snr_weighs_the_loss(examples, tmp_path):
    assert accumulate(examples, tmp_path, min_snr_gamma=0.1)[0] < accumulate(examples, tmp_path)[0]


def test_a_loss_that_is_not_finite_names_samples_and_the_last_good_checkpoint(examples, tmp_path):
    checkpoints.write(tmp_path, 3, weights=lambda _: None, state={}, identity={}, keep=1)
    examples.moments[4][0, 0, 0] = float("inf")
    with pytest.raises(GessoError, match=r"not finite for row-4 \(whole batch: .*step-0000003"):
        accumulate(examples, tmp_path)


def test_pictures_are_named_by_their_files(examples, tmp_path):
    examples.moments[4][0, 0, 0] = float("inf")
    settings = TrainSettings(batch_size=3, gradient_accumulation=3)
    with session(settings, device=torch.device("cpu")) as accelerator:
        losses = Denoising(Painter(Linear()), examples, OBJECTIVE, settings).losses
        job = Job(tmp_path, name=lambda one: f"{one}.png")
        gradients = Gradients(accelerator, examples, losses, settings, tmp_path, job=job)
        with pytest.raises(
            GessoError, match=r"not finite for row-4\.png \(whole batch: .*row-\d\.png.*train\.learning_rate"
        ):
            gradients.accumulate(0)


def test_a_gradient_that_is_not_finite_is_refused_but_in_fp16(examples, tmp_path):
    _, _, gradients = accumulate(examples, tmp_path)
    gradients.refuse_norm(4, 1e30)
    with pytest.raises(GessoError, match=r"gradient of step 5 is not finite, .*: row-\d, row-\d"):
        gradients.refuse_norm(4, float("nan"))
    gradients.accelerator = SimpleNamespace(scaler=object())
    gradients.refuse_norm(4, float("inf"))
