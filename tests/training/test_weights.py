import pytest
import torch
from diffusers import UNet2DConditionModel
from diffusers.loaders import StableDiffusionLoraLoaderMixin
from peft import LoraConfig
from safetensors import safe_open
from safetensors.torch import load_file

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
    weights.save_model(unet, tmp_path / "unet", header={"gesso_trainset_digest": "abc"})
    loaded = UNet2DConditionModel.from_pretrained(tmp_path / "unet")
    assert states_equal(unet.state_dict(), loaded.state_dict())
    assert loaded.config.cross_attention_dim == 16
    for one in loaded.parameters():
        one.data.zero_()
    weights.load_model(loaded, tmp_path / "unet")
    assert states_equal(unet.state_dict(), loaded.state_dict())
    with safe_open(tmp_path / "unet" / weights.DIFFUSERS_FILE, "pt") as file:
        assert file.metadata() == {"format": "pt", "gesso_trainset_digest": "abc"}


def test_the_same_weights_and_header_are_the_same_bytes(unet, tmp_path):
    header = {f"key_{number}": 'é "quoted"\n\x01' for number in range(30)}
    for name in ("one", "two"):
        weights.save_model(unet, tmp_path / name, header=dict(reversed(header.items())) if name == "two" else header)
    one, two = ((tmp_path / name / weights.DIFFUSERS_FILE).read_bytes() for name in ("one", "two"))
    assert one == two
    with safe_open(tmp_path / "one" / weights.DIFFUSERS_FILE, "pt") as file:
        assert file.metadata() == {"format": "pt", **header}
    assert states_equal(unet.state_dict(), load_file(tmp_path / "one" / weights.DIFFUSERS_FILE))


def test_an_adapter_comes_back_bit_for_bit(unet, tmp_path):
    config = LoraConfig(r=2, lora_alpha=5, target_modules=["to_q", "to_out.0"])
    unet.add_adapter(config)
    for one in unet.parameters():
        one.data.normal_()
    before = {name: value.clone() for name, value in unet.state_dict().items()}
    weights.save_lora({"unet": unet}, tmp_path, config=config, header={})
    for name, one in unet.named_parameters():
        if ".lora_" in name:
            one.data.zero_()
    weights.load_lora({"unet": unet}, tmp_path)
    assert states_equal(before, unet.state_dict())


def test_the_header_names_set_method_and_what_the_caller_adds():
    header = weights.header(TrainSettings(method="full", steps=9, seed=4), digest="abc", more={"gesso_steps": "10"})
    assert header == {
        "gesso_trainset_digest": "abc",
        "gesso_method": "full",
        "gesso_steps": "10",
        "gesso_seed": "4",
    }


def updates(unet):
    """What the adapter adds to each layer's matrix, by the layer's name in kohya's layout."""
    return {
        f"lora_unet_{name.replace('.', '_')}": module.get_delta_weight(module.active_adapters[0])
        for name, module in unet.named_modules()
        if hasattr(module, "get_delta_weight")
    }


@pytest.mark.parametrize("alpha", [1, 4, 7.5])
def test_an_adapter_in_kohyas_layout_is_the_same_update(unet, tmp_path, alpha):
    config = LoraConfig(r=4, lora_alpha=alpha, target_modules=["to_q", "to_k", "to_v", "to_out.0"])
    unet.add_adapter(config)
    for one in unet.parameters():
        one.data.normal_(std=0.1)
    weights.save_lora({"unet": unet}, tmp_path, config=config, header={})
    weights.save_kohya({"unet": unet}, tmp_path, config=config, header={"gesso_trainset_digest": "abc"})
    update = updates(unet)
    kohya = load_file(tmp_path / weights.KOHYA_FILE)
    assert {name.partition(".")[0] for name in kohya} == set(update)
    for name, wanted in update.items():
        up, down = kohya[f"{name}.lora_up.weight"], kohya[f"{name}.lora_down.weight"]
        assert torch.allclose(float(kohya[f"{name}.alpha"]) / len(down) * up @ down, wanted, atol=1e-6)
    with safe_open(tmp_path / weights.KOHYA_FILE, "pt") as file:
        told = file.metadata()
    assert (told["ss_network_dim"], told["ss_network_alpha"]) == ("4", str(float(alpha)))
    assert told["gesso_trainset_digest"] == "abc"

    # and back: diffusers reads kohya's layout, with its alphas
    there, alphas = StableDiffusionLoraLoaderMixin.lora_state_dict(tmp_path, weight_name=weights.KOHYA_FILE)
    other = UNet2DConditionModel.from_config(unet.config)
    other.load_lora_adapter(there, prefix="unet", network_alphas=alphas)
    back = updates(other)
    assert back.keys() == update.keys()
    assert all(torch.equal(value, update[name]) for name, value in back.items())


def test_a_rescaled_schedule_is_told():
    told = weights.header(TrainSettings(zero_terminal_snr=True), digest="abc", more={})
    assert told["ss_zero_terminal_snr"] == "True"
