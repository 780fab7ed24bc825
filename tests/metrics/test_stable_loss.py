from types import SimpleNamespace

import pytest
import torch
from diffusers import DDPMScheduler, UNet2DConditionModel

from pipeline.metrics import stable_loss
from pipeline.training.data import MemoryExamples
from pipeline.training.painter import Painter

SCHEDULER = DDPMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)


class Oracle(torch.nn.Module):
    """Knows the clean latents (they are 0), and answers `part` of the noise."""

    def __init__(self, part):
        super().__init__()
        self.part = torch.nn.Parameter(torch.tensor(float(part)))
        self.device, self.dtype = torch.device("cpu"), torch.float32

    def forward(self, noisy, when, encoder_hidden_states):
        spread = (1 - SCHEDULER.alphas_cumprod[when]).sqrt().view(-1, 1, 1, 1)
        return SimpleNamespace(sample=self.part * noisy / spread)


def zeros(count=5, sizes=((8, 8), (4, 16))):
    moments = [torch.zeros(8, *sizes[row % len(sizes)]) for row in range(count)]
    return MemoryExamples(moments, torch.zeros(count, 77, 16), torch.zeros(77, 16), scale=0.5)


@pytest.fixture
def examples():
    draws = torch.Generator().manual_seed(1)
    moments = torch.randn(5, 8, 8, 8, generator=draws)
    return MemoryExamples(moments, torch.randn(5, 77, 16, generator=draws), torch.zeros(77, 16), scale=0.5)


@pytest.fixture
def unet():
    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=16,
        attention_head_dim=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )


def test_who_knows_the_noise_has_no_loss_and_who_says_nothing_has_its_power():
    knows = stable_loss.measure(Painter(Oracle(1.0)), zeros(), SCHEDULER)
    assert max(one.loss for one in knows) < 1e-9
    silent = stable_loss.measure(Painter(Oracle(0.0)), zeros(40), SCHEDULER)
    assert sum(one.loss for one in silent) / len(silent) == pytest.approx(1.0, abs=0.03)
    half = stable_loss.measure(Painter(Oracle(0.5)), zeros(40), SCHEDULER)
    assert [one.loss for one in half] == pytest.approx([one.loss / 4 for one in silent])


def test_each_row_at_each_timestep_once_in_order():
    found = stable_loss.measure(Painter(Oracle(0.0)), zeros(), SCHEDULER)
    assert [(one.row, one.timestep) for one in found] == [
        (row, timestep) for row in range(5) for timestep in stable_loss.TIMESTEPS
    ]
    assert [one.sample_id for one in found[:5]] == ["row-0"] * 4 + ["row-1"]


def test_a_triple_stays_the_same_whatever_else_is_measured(unet, examples):
    everything = {(one.row, one.timestep): one.loss for one in stable_loss.measure(Painter(unet), examples, SCHEDULER)}
    torch.manual_seed(99)
    alone = stable_loss.measure(Painter(unet), examples, SCHEDULER, rows=[3], timesteps=[500])
    assert alone[0].loss == pytest.approx(everything[3, 500], rel=1e-5)
    # the same sample at another place in another set
    moved = MemoryExamples(
        examples.moments[3:4], examples.text[3:4], examples.empty_text, scale=0.5, ids=[examples.ids[3]]
    )
    assert stable_loss.measure(Painter(unet), moved, SCHEDULER)[2].loss == pytest.approx(everything[3, 500], rel=1e-5)


def test_seed_timestep_and_sample_each_draw_their_own_noise():
    def loss(**changes):
        return [
            one.loss for one in stable_loss.measure(Painter(Oracle(0.0)), zeros(2, ((8, 8),)), SCHEDULER, **changes)
        ]

    losses = loss() + loss(seed=1)
    assert len(set(losses)) == len(losses)


def test_the_model_is_left_in_its_mode_without_gradients(unet, examples):
    unet.train()
    stable_loss.measure(Painter(unet), examples, SCHEDULER, rows=[0])
    assert unet.training
    assert all(one.grad is None for one in unet.parameters())
