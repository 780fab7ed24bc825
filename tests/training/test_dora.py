import pytest
import torch
from peft import LoraConfig, get_peft_model_state_dict
from torch import nn

from pipeline.training import dora


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.conv = nn.Linear(3, 5), nn.Conv2d(3, 7, 3)


@pytest.fixture
def layers():
    from peft import inject_adapter_in_model

    torch.manual_seed(0)
    model = inject_adapter_in_model(LoraConfig(r=2, use_dora=True, target_modules=["linear", "conv"]), Two())
    return get_peft_model_state_dict(model)


def test_matrices_and_magnitudes_are_told_apart(layers):
    matrices, magnitudes = dora.parted(layers)
    assert set(magnitudes) == {"linear", "conv"}
    assert len(matrices) == 4
    assert len(layers) == 6
    assert dora.parted(matrices) == (matrices, {})


def test_a_scale_multiplies_the_weight_and_goes_back_bit_for_bit(layers):
    _, magnitudes = dora.parted(layers)
    shapes = {name: tuple(dora.scale_of(one).shape) for name, one in magnitudes.items()}
    assert shapes == {"linear": (5, 1), "conv": (7, 1, 1, 1)}
    for one in magnitudes.values():
        back = dora.magnitude_of(dora.scale_of(one))
        assert back.shape == one.shape
        assert torch.equal(back, one)


def test_a_fresh_magnitude_is_the_length_of_each_outputs_weights(layers):
    torch.manual_seed(0)
    model = Two()
    _, magnitudes = dora.parted(layers)
    for name, scale in ((name, dora.scale_of(one)) for name, one in magnitudes.items()):
        weight = getattr(model, name).weight.detach()
        assert torch.allclose(scale.flatten(), weight.flatten(1).norm(dim=1))
