import pytest
import torch
from diffusers import UNet2DConditionModel

from pipeline.errors import RecipeError
from pipeline.training import targets
from pipeline.training.settings import TrainSettings


@pytest.fixture(scope="module")
def unet():
    with torch.device("meta"):
        return UNet2DConditionModel(
            block_out_channels=(8, 16),
            layers_per_block=1,
            norm_num_groups=4,
            cross_attention_dim=16,
            attention_head_dim=4,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        )


def adapted(unet, **chosen):
    config = targets.config(unet, TrainSettings(**chosen))
    with torch.device("meta"):
        own = UNet2DConditionModel.from_config(unet.config)
        own.add_adapter(config)
    found = {name: one for name, one in own.named_modules() if hasattr(one, "lora_A") and len(one.lora_A)}
    return {name: (one.r["default"], one.lora_alpha["default"], one.scaling["default"]) for name, one in found.items()}


def test_attention_alone_where_nothing_is_said(unet):
    found = adapted(unet, rank=4, alpha=2)
    assert {name.rpartition(".attn")[2][2:] for name in found} == {"to_q", "to_k", "to_v", "to_out.0"}
    assert set(found.values()) == {(4, 2, 0.5)}


def test_blocks_are_all_that_is_adapted(unet):
    whole, some = adapted(unet), adapted(unet, target_blocks=["mid_block", "up_blocks.0.attentions.1"])
    inside = ("mid_block.", "up_blocks.0.attentions.1.")
    assert set(some) == {name for name in whole if name.startswith(inside)}
    assert some.keys() < whole.keys()


def test_convolutions_by_one_word_with_a_rank_and_an_alpha_of_their_own(unet):
    found = adapted(unet, rank=4, alpha=4, conv_rank=2, conv_alpha=1)
    convolutions = {name for name, one in unet.named_modules() if isinstance(one, torch.nn.Conv2d)}
    outside = {"conv_in", "conv_out"} | {name for name in convolutions if "proj_" in name}
    assert {name for name, told in found.items() if told == (2, 1, 0.5)} == convolutions - outside
    assert {name for name, told in found.items() if told == (4, 4, 1.0)} == set(adapted(unet))
    assert set(found.values()) == {(2, 1, 0.5), (4, 4, 1.0)}


def test_convolutions_without_an_alpha_are_as_strong_as_they_are_drawn(unet):
    found = adapted(unet, rank=4, alpha=2, conv_rank=3)
    assert set(found.values()) == {(4, 2, 0.5), (3, 3, 1.0)}


@pytest.mark.parametrize("conv_rank", [None, 2])
def test_what_the_unet_does_not_have_is_named(unet, conv_rank):
    with pytest.raises(RecipeError, match=r"train\.target_blocks.*down_blocks\.7.*down_blocks\.0, .*mid_block"):
        adapted(unet, target_blocks=["mid_block", "down_blocks.7"], conv_rank=conv_rank)
    with pytest.raises(RecipeError, match=r"train\.target_blocks.*mid"):
        adapted(unet, target_blocks=["mid"], conv_rank=conv_rank)
    with pytest.raises(RecipeError, match=r"train\.target_modules.*to_quux"):
        adapted(unet, target_modules=["to_q", "to_quux"], conv_rank=conv_rank)


def test_blocks_without_layers_to_adapt_are_told_of(unet):
    with pytest.raises(RecipeError, match=r"train\.target_blocks.*conv_rank"):
        adapted(unet, target_blocks=["down_blocks.0"])
    assert set(adapted(unet, target_blocks=["down_blocks.0"], conv_rank=1)) == {
        "down_blocks.0.resnets.0.conv1",
        "down_blocks.0.resnets.0.conv2",
        "down_blocks.0.downsamplers.0.conv",
    }
