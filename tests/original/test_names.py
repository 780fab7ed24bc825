import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.original import kinds, names, slots
from pipeline.starter import architectures
from pipeline.starter import sdxl as starter

CONFIGS = {kind.name: kind.published["unet"] for kind in kinds.KINDS}


def layers(config):
    """Every layer of a UNet, by diffusers' name."""
    found = slots.of_part(kinds.of_unet(config), "unet", config)
    return sorted({name.rpartition(".")[0] for slot in found for name in slot.names})


@pytest.mark.parametrize("name", ["sd1", "sdxl", "starter", "tiny sdxl"])
def test_names_of_a_unets_layers_come_back_from_the_original_code(name):
    made = {"starter": architectures.unet, "tiny sdxl": starter.unet}
    config = dict(made[name]().config) if name in made else CONFIGS[name]
    named = {one: names.of_unet(one, config) for one in layers(config)}
    assert len(set(named.values())) == len(named) > 50
    for ours, theirs in named.items():
        assert names.of_diffusers(theirs, layers_per_block=config["layers_per_block"]) == ours


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        ("conv_in", "input_blocks.0.0"),
        ("down_blocks.1.resnets.0.conv_shortcut", "input_blocks.4.0.skip_connection"),
        (
            "down_blocks.2.attentions.1.transformer_blocks.0.attn2.to_k",
            "input_blocks.8.1.transformer_blocks.0.attn2.to_k",
        ),
        ("down_blocks.2.downsamplers.0.conv", "input_blocks.9.0.op"),
        ("mid_block.resnets.1.time_emb_proj", "middle_block.2.emb_layers.1"),
        ("up_blocks.0.upsamplers.0.conv", "output_blocks.2.1.conv"),
        ("up_blocks.1.upsamplers.0.conv", "output_blocks.5.2.conv"),
        ("up_blocks.3.attentions.2.proj_out", "output_blocks.11.1.proj_out"),
        ("conv_out", "out.2"),
    ],
)
def test_layers_of_stable_diffusion_1_that_are_known_by_heart(layer, name):
    assert names.of_unet(layer, CONFIGS["sd1"]) == name
    assert names.of_diffusers(name) == layer


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        ("encoder.conv_norm_out", "encoder.norm_out"),
        ("encoder.down_blocks.1.resnets.0.conv_shortcut", "encoder.down.1.block.0.nin_shortcut"),
        ("encoder.down_blocks.0.downsamplers.0.conv", "encoder.down.0.downsample.conv"),
        ("encoder.mid_block.attentions.0.to_out.0", "encoder.mid.attn_1.proj_out"),
        ("encoder.mid_block.attentions.0.group_norm", "encoder.mid.attn_1.norm"),
        ("decoder.mid_block.resnets.1.norm1", "decoder.mid.block_2.norm1"),
        ("decoder.up_blocks.0.resnets.2.conv2", "decoder.up.3.block.2.conv2"),
        ("decoder.up_blocks.2.upsamplers.0.conv", "decoder.up.1.upsample.conv"),
        ("post_quant_conv", "post_quant_conv"),
    ],
)
def test_layers_of_the_vae_that_are_known_by_heart(layer, name):
    assert names.of_vae(layer, levels=4) == name


@given(st.text("abc._0123456789", max_size=30))
def test_a_name_of_neither_code_is_refused(name):
    for turned in (lambda: names.of_unet(f"x{name}", CONFIGS["sd1"]), lambda: names.of_diffusers(f"x{name}")):
        with pytest.raises(ValueError, match="no layer"):
            turned()
