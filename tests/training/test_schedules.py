import pytest
import torch
from diffusers.optimization import get_polynomial_decay_schedule_with_warmup, get_scheduler
from hypothesis import given
from hypothesis import strategies as st

from pipeline.training.schedules import factor
from pipeline.training.settings import TrainSettings

NAMES = ["constant", "linear", "cosine", "polynomial", "cosine_with_restarts"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("warmup", [0, 7])
def test_the_course_is_diffusers(name, warmup):
    settings = TrainSettings(steps=50, lr_schedule=name, warmup_steps=warmup, lr_cycles=4, lr_power=1.5)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    if name == "polynomial":  # diffusers' own default ends a little above 0
        wanted = get_polynomial_decay_schedule_with_warmup(optimizer, warmup, 50, lr_end=0.0, power=1.5)
    else:
        theirs = "constant_with_warmup" if name == "constant" else name
        wanted = get_scheduler(theirs, optimizer, num_warmup_steps=warmup, num_training_steps=50, num_cycles=4)
    for step in range(50):
        assert factor(step, settings) == pytest.approx(wanted.get_last_lr()[0], abs=1e-12)
        optimizer.step()
        wanted.step()


@given(st.sampled_from(NAMES[:-1]), st.integers(1, 300), st.integers(0, 400), st.data())
def test_it_rises_to_at_most_one_and_never_rises_again(name, steps, warmup, data):
    settings = TrainSettings(steps=steps, lr_schedule=name, warmup_steps=warmup)
    step = data.draw(st.integers(0, steps - 1))
    here, then = factor(step, settings), factor(step + 1, settings)
    assert 0 <= here <= 1
    assert then >= here if step < warmup else then <= here


def test_restarts_fall_to_nothing_as_often_as_was_asked():
    settings = TrainSettings(steps=400, lr_schedule="cosine_with_restarts", lr_cycles=4)
    course = [factor(step, settings) for step in range(400)]
    assert [step for step in range(400) if course[step] == 1.0] == [0, 100, 200, 300]
    assert max(course[step] for step in (99, 199, 299, 399)) < 0.001
