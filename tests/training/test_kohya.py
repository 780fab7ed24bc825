"""Names of layers, on the configuration of SDXL that gesso ships, on the meta device."""

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from peft import LoraConfig, get_peft_model_state_dict
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from pipeline.original import kinds
from pipeline.training import kohya
from pipeline.training.settings import TrainSettings

UNET = kinds.SDXL.published["unet"]
SHARED = {"vocab_size": 49408, "max_position_embeddings": 77}
FIRST = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
SECOND = {"hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 20}


@pytest.fixture(scope="module")
def unet():
    with torch.device("meta"):
        return UNet2DConditionModel.from_config(UNET)


def count(model):
    return sum(one.numel() for one in model.parameters())


def layers(model):
    return [name for name, one in model.named_modules() if isinstance(one, torch.nn.Linear | torch.nn.Conv2d)]


def test_the_configurations_have_the_numbers_of_parameters_that_are_told_of_them(unet):
    assert count(unet) == 2_567_463_684
    with torch.device("meta"):
        first = CLIPTextModel(CLIPTextConfig(projection_dim=768, **FIRST, **SHARED))
        second = CLIPTextModelWithProjection(CLIPTextConfig(projection_dim=1280, hidden_act="gelu", **SECOND, **SHARED))
        vae = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=2,
        )
    assert count(first) == 123_060_480
    assert count(second) == 694_659_840
    assert count(vae) == 83_653_863
    assert first.config.hidden_size + second.config.hidden_size == unet.config.cross_attention_dim
    assert second.config.projection_dim + 6 * 256 == unet.add_embedding.linear_1.in_features


def test_the_targets_of_a_lora_are_sdxls_attention(unet):
    chosen = TrainSettings().target_modules
    with torch.device("meta"):
        adapted = UNet2DConditionModel.from_config(UNET)
        adapted.add_adapter(LoraConfig(r=4, target_modules=list(chosen)))
        shapes = {name: tuple(one.shape) for name, one in get_peft_model_state_dict(adapted).items()}
    wanted = dict(unet.named_modules())
    # 2 in each of 70 transformers: 4 + 20 going down, 10 in the middle, 30 + 6 going up; q, k, v and out
    assert len(shapes) == 2 * 70 * 2 * 4
    for name, shape in shapes.items():
        layer, _, side = name.partition(".lora_")
        full = wanted[layer].weight.shape
        assert shape == ((4, full[1]) if side.startswith("A") else (full[0], 4))
    assert shapes["mid_block.attentions.0.transformer_blocks.9.attn2.to_k.lora_A.weight"] == (4, 2048)


def test_names_that_are_known_by_heart(unet):
    named = {name: kohya.original(name, unet) for name in layers(unet)}
    assert named["down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"] == (
        "input_blocks.4.1.transformer_blocks.0.attn1.to_q"
    )
    assert named["down_blocks.2.attentions.1.proj_in"] == "input_blocks.8.1.proj_in"
    assert named["mid_block.attentions.0.proj_out"] == "middle_block.1.proj_out"
    assert named["up_blocks.0.attentions.2.proj_in"] == "output_blocks.2.1.proj_in"
    assert named["down_blocks.0.downsamplers.0.conv"] == "input_blocks.3.0.op"
    assert named["up_blocks.0.upsamplers.0.conv"] == "output_blocks.2.2.conv"
    assert named["mid_block.resnets.1.conv2"] == "middle_block.2.out_layers.3"
    assert len(set(named.values())) == len(named)
    # as many layers as sd-scripts' own LoRA for SDXL finds in transformers
    assert sum(".1.transformer_blocks" in one or ".1.proj_" in one for one in named.values()) == 722


def test_a_layer_that_is_not_there_has_no_name(unet):
    with pytest.raises(ValueError, match="no layer quux"):
        kohya.original("quux", unet)


def test_a_unet_says_whether_it_is_sdxls(unet):
    assert kohya.is_sdxl(unet)
    with torch.device("meta"):
        assert not kohya.is_sdxl(UNet2DConditionModel())
