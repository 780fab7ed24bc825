import pytest
import torch
from diffusers import UNet2DConditionModel
from peft import LoraConfig
from safetensors import safe_open

from pipeline.training import weights
from pipeline.training.settings import TrainSettings


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


def states_equal(one, two):
    return one.keys() == two.keys() and all(torch.equal(value, two[name]) for name, value in one.items())


def test_a_unet_comes_back_bit_for_bit_through_diffusers_and_us(unet, tmp_path):
    unet.conv_in.to(memory_format=torch.channels_last)
    weights.save_unet(unet, tmp_path / "unet", header={"gesso_trainset_digest": "abc"})
    loaded = UNet2DConditionModel.from_pretrained(tmp_path / "unet")
    assert states_equal(unet.state_dict(), loaded.state_dict())
    assert loaded.config.cross_attention_dim == 16
    for one in loaded.parameters():
        one.data.zero_()
    weights.load_unet(loaded, tmp_path / "unet")
    assert states_equal(unet.state_dict(), loaded.state_dict())
    with safe_open(tmp_path / "unet" / weights.UNET_FILE, "pt") as file:
        assert file.metadata() == {"format": "pt", "gesso_trainset_digest": "abc"}


def test_an_adapter_comes_back_bit_for_bit(unet, tmp_path):
    config = LoraConfig(r=2, lora_alpha=5, target_modules=["to_q", "to_out.0"])
    unet.add_adapter(config)
    for one in unet.parameters():
        one.data.normal_()
    before = {name: value.clone() for name, value in unet.state_dict().items()}
    weights.save_lora(unet, tmp_path, config=config, header={})
    for name, one in unet.named_parameters():
        if ".lora_" in name:
            one.data.zero_()
    weights.load_lora(unet, tmp_path)
    assert states_equal(before, unet.state_dict())


def test_the_header_names_set_method_and_what_the_caller_adds():
    header = weights.header(TrainSettings(method="full", steps=9, seed=4), digest="abc", more={"gesso_steps": "10"})
    assert header == {
        "gesso_trainset_digest": "abc",
        "gesso_method": "full",
        "gesso_steps": "10",
        "gesso_seed": "4",
    }
