import pytest
import torch
from torch import nn

from pipeline.errors import RecipeError
from pipeline.training import layers


def model():
    body = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    return nn.ModuleDict({"body": body, "body_two": nn.Linear(2, 2), "head": nn.Linear(2, 1)}).half()


def trained(one):
    return {name for name, value in one.named_parameters() if value.requires_grad}


def test_all_is_trained_in_float32_but_what_is_frozen():
    one = model()
    layers.thaw(one, frozen=["body", "head.bias"])
    assert trained(one) == {"body_two.weight", "body_two.bias", "head.weight"}
    assert {value.dtype for value in one.parameters()} == {torch.float32}


def test_what_was_frozen_before_is_trained_again():
    one = model()
    layers.thaw(one, frozen=["body"])
    layers.thaw(one, frozen=[])
    assert trained(one) == {name for name, _ in one.named_parameters()}


@pytest.mark.parametrize("name", ["bod", "body.2", "boddy"])
def test_a_name_that_is_no_layers_is_refused_with_those_that_are(name):
    with pytest.raises(RecipeError, match=r"train\.freeze.*body, body_two, head"):
        layers.thaw(model(), frozen=[name])


def test_something_has_to_be_left():
    with pytest.raises(RecipeError, match="nothing is left to train"):
        layers.thaw(model(), frozen=["body", "body_two", "head"])
