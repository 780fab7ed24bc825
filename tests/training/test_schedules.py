import pytest
import torch
from diffusers.optimization import get_scheduler
from hypothesis import given
from hypothesis import strategies as st

from pipeline.training.schedules import factor
from pipeline.training.settings import TrainSettings

NAMES = ["constant", "linear", "cosine"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("warmup", [0, 7])
def test_the_course_is_diffusers(name, warmup):
    settings = TrainSettings(steps=50, lr_schedule=name, warmup_steps=warmup)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    wanted = get_scheduler(
        "constant_with_warmup" if name == "constant" else name,
        optimizer,
        num_warmup_steps=warmup,
        num_training_steps=50,
    )
    for step in range(50):
        assert factor(step, settings) == pytest.approx(wanted.get_last_lr()[0], abs=1e-12)
        optimizer.step()
        wanted.step()


@given(st.sampled_from(NAMES), st.integers(1, 300), st.integers(0, 400), st.data())
def test_it_rises_to_at_most_one_and_never_rises_again(name, steps, warmup, data):
    settings = TrainSettings(steps=steps, lr_schedule=name, warmup_steps=warmup)
    step = data.draw(st.integers(0, steps - 1))
    here, then = factor(step, settings), factor(step + 1, settings)
    assert 0 <= here <= 1
    assert then >= here if step < warmup else then <= here
