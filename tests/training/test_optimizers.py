import copy
import sys

import pytest
import torch
from accelerate import Accelerator
from hypothesis import given
from hypothesis import strategies as st
from prodigyopt import Prodigy

from pipeline.errors import RecipeError
from pipeline.training import optimizers
from pipeline.training.settings import TrainSettings


def layers():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4), torch.nn.Linear(4, 1))


def one_step(model, optimizer):
    optimizer.zero_grad()
    model(torch.ones(2, 3)).sum().backward()
    optimizer.step()


NAMES = ["adamw", "sgd", "adafactor", "prodigy"]


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_only_matrices_decay(name):
    model = layers()
    for one in model.parameters():
        one.data.fill_(1.0)
        one.grad = torch.zeros_like(one)
    chosen = TrainSettings(method="full", optimizer=name, learning_rate=0.5, weight_decay=0.1)
    optimizers.build(dict(model.named_parameters()), chosen).step()
    assert {one.ndim: round(float(one.detach().mean()), 6) for one in model.parameters()} == {2: 0.95, 1: 1.0}


@pytest.mark.parametrize("name", NAMES)
def test_a_step_is_that_of_whose_name_it_has(name):
    ours, theirs = layers(), layers()
    chosen = TrainSettings(method="full", optimizer=name, learning_rate=0.01, weight_decay=0.0, betas=(0.8, 0.99))
    reference = {
        "adamw": lambda own: torch.optim.AdamW(own, lr=0.01, weight_decay=0.0, betas=(0.8, 0.99)),
        "sgd": lambda own: torch.optim.SGD(own, lr=0.01, momentum=0.9),
        "adafactor": lambda own: torch.optim.Adafactor(own, lr=0.01),
        "prodigy": lambda own: Prodigy(
            own, lr=0.01, betas=(0.8, 0.99), use_bias_correction=True, safeguard_warmup=True
        ),
    }[name](theirs.parameters())
    optimizer = optimizers.build(dict(ours.named_parameters()), chosen)
    for _ in range(3):
        one_step(ours, optimizer)
        one_step(theirs, reference)
    for one, two in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(one, two, atol=1e-6)


def test_frozen_parameters_are_left_out_and_every_group_takes_the_rate():
    model = layers()
    for one in model[0].parameters():
        one.requires_grad = False
    optimizer = optimizers.build(dict(model.named_parameters()), TrainSettings(method="full"))
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 4
    optimizers.set_rate(optimizer, 0.125)
    assert {group["lr"] for group in optimizer.param_groups} == {0.125}


@pytest.mark.parametrize("name", NAMES)
def test_state_goes_on_where_it_was(name):
    accelerator = Accelerator(cpu=True)
    straight, resumed = layers(), layers()
    chosen = TrainSettings(method="full", optimizer=name, learning_rate=0.01)
    first = optimizers.build(dict(straight.named_parameters()), chosen)
    one_step(straight, first)
    saved = copy.deepcopy(optimizers.state(accelerator, first))
    resumed.load_state_dict(straight.state_dict())
    second = optimizers.build(dict(resumed.named_parameters()), chosen)
    optimizers.load_state(accelerator, second, saved)
    for model, optimizer in ((straight, first), (resumed, second)):
        one_step(model, optimizer)
    assert all(torch.equal(one, two) for one, two in zip(straight.parameters(), resumed.parameters(), strict=True))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("limit", [0, 1e-3, 1e9])
def test_a_clipped_step_is_torchs_own(name, limit):
    ours, theirs = layers(), layers()
    accelerator, chosen = Accelerator(cpu=True), TrainSettings(method="full", optimizer=name, learning_rate=0.1)
    optimizer = accelerator.prepare_optimizer(optimizers.build(dict(ours.named_parameters()), chosen))
    reference = optimizers.build(dict(theirs.named_parameters()), chosen)
    for scale in (1.0, 30.0):
        for model in (ours, theirs):
            model.zero_grad()
            (scale * model(torch.arange(6.0).view(2, 3))).sum().backward()
        wanted = torch.nn.utils.clip_grad_norm_(theirs.parameters(), limit or float("inf"))
        assert float(optimizers.clip(accelerator, optimizer, limit=limit)) == pytest.approx(float(wanted))
        optimizer.step()
        reference.step()
    for one, two in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(one, two, rtol=1e-6, atol=1e-7)


def test_a_package_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(RecipeError, match=r"train\.optimizer.*adamw8bit.*pip install bitsandbytes"):
        optimizers.build(dict(layers().named_parameters()), TrainSettings(method="full", optimizer="adamw8bit"))


def test_prodigy_finds_a_rate_that_lowers_the_loss_from_none_that_was_given():
    torch.manual_seed(1)
    model, wanted = layers(), torch.randn(64, 1)
    seen = torch.cat([wanted, wanted**2, torch.ones_like(wanted)], dim=1)
    optimizer = optimizers.build(
        dict(model.named_parameters()),
        TrainSettings(method="full", optimizer="prodigy", learning_rate=1.0, weight_decay=0.0),
    )
    losses = []
    for _ in range(120):
        optimizer.zero_grad()
        loss = (model(seen) - wanted).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.1 * losses[0]
    assert optimizer.param_groups[0]["d"] > 100 * 1e-6


@given(
    st.lists(st.lists(st.integers(1, 90), min_size=1, max_size=2), min_size=1, max_size=12),
    st.sampled_from([torch.float32, torch.bfloat16]),
)
def test_the_norm_is_that_of_all_values_together(shapes, dtype):
    draws = torch.Generator().manual_seed(len(shapes))
    gradients = [torch.randn(shape, generator=draws).to(dtype) for shape in shapes]
    everything = torch.cat([one.double().flatten() for one in gradients])
    wanted = everything.norm()
    assert float(optimizers.norm_of(gradients)) == pytest.approx(
        float(wanted), rel=1e-2 if dtype == torch.bfloat16 else 1e-5
    )
    gradients[-1].view(-1)[0] = float("nan")
    assert torch.isnan(optimizers.norm_of(gradients))


def test_an_optimizer_is_accelerates_own_only_where_the_loss_has_a_scale():
    plain = optimizers.build(dict(layers().named_parameters()), TrainSettings(method="full"))
    accelerator = Accelerator(cpu=True)
    assert optimizers.scaled(accelerator, plain) is plain
    accelerator.scaler = torch.amp.GradScaler("cpu")
    assert optimizers.scaled(accelerator, plain).scaler is accelerator.scaler
