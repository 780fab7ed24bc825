import copy

import pytest
import torch
from accelerate import Accelerator

from pipeline.training import optimizers
from pipeline.training.settings import TrainSettings


def layers():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4), torch.nn.Linear(4, 1))


def one_step(model, optimizer):
    optimizer.zero_grad()
    model(torch.ones(2, 3)).sum().backward()
    optimizer.step()


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_only_matrices_decay(name):
    model = layers()
    for one in model.parameters():
        one.data.fill_(1.0)
        one.grad = torch.zeros_like(one)
    chosen = TrainSettings(method="full", optimizer=name, learning_rate=0.5, weight_decay=0.1)
    optimizers.build(model.parameters(), chosen).step()
    assert {one.ndim: round(float(one.detach().mean()), 6) for one in model.parameters()} == {2: 0.95, 1: 1.0}


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_a_step_is_torchs_own(name):
    ours, theirs = layers(), layers()
    chosen = TrainSettings(method="full", optimizer=name, learning_rate=0.01, weight_decay=0.0)
    reference = (
        torch.optim.SGD(theirs.parameters(), lr=0.01, momentum=0.9)
        if name == "sgd"
        else torch.optim.AdamW(theirs.parameters(), lr=0.01, weight_decay=0.0)
    )
    optimizer = optimizers.build(ours.parameters(), chosen)
    for _ in range(3):
        one_step(ours, optimizer)
        one_step(theirs, reference)
    for one, two in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(one, two, atol=1e-6)


def test_frozen_parameters_are_left_out_and_every_group_takes_the_rate():
    model = layers()
    for one in model[0].parameters():
        one.requires_grad = False
    optimizer = optimizers.build(model.parameters(), TrainSettings(method="full"))
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 4
    optimizers.set_rate(optimizer, 0.125)
    assert {group["lr"] for group in optimizer.param_groups} == {0.125}


def test_state_goes_on_where_it_was():
    accelerator = Accelerator(cpu=True)
    straight, resumed = layers(), layers()
    chosen = TrainSettings(method="full", learning_rate=0.01)
    first = optimizers.build(straight.parameters(), chosen)
    one_step(straight, first)
    saved = copy.deepcopy(optimizers.state(accelerator, first))
    resumed.load_state_dict(straight.state_dict())
    second = optimizers.build(resumed.parameters(), chosen)
    optimizers.load_state(accelerator, second, saved)
    for model, optimizer in ((straight, first), (resumed, second)):
        one_step(model, optimizer)
    assert all(torch.equal(one, two) for one, two in zip(straight.parameters(), resumed.parameters(), strict=True))


@pytest.mark.parametrize("name", ["adamw", "sgd"])
@pytest.mark.parametrize("limit", [0, 1e-3, 1e9])
def test_a_clipped_step_is_torchs_own(name, limit):
    ours, theirs = layers(), layers()
    accelerator, chosen = Accelerator(cpu=True), TrainSettings(method="full", optimizer=name, learning_rate=0.1)
    optimizer = accelerator.prepare_optimizer(optimizers.build(ours.parameters(), chosen))
    reference = optimizers.build(theirs.parameters(), chosen)
    for scale in (1.0, 30.0):
        for model in (ours, theirs):
            model.zero_grad()
            (scale * model(torch.arange(6.0).view(2, 3))).sum().backward()
        wanted = torch.nn.utils.clip_grad_norm_(theirs.parameters(), limit or float("inf"))
        assert optimizers.clip(accelerator, optimizer, limit=limit) == pytest.approx(float(wanted))
        optimizer.step()
        reference.step()
    for one, two in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(one, two, rtol=1e-6, atol=1e-7)
