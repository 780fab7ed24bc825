import pytest

from pipeline.interchange import layouts
from pipeline.original import kinds, slots


def layers(kind, part):
    """Every layer of a published part that an adapter may change."""
    found = slots.of_part(kind, part, kind.published[part])
    return sorted({name.rpartition(".")[0] for slot in found for name in slot.names if len(slot.shape) in (2, 4)})


@pytest.mark.parametrize("kind", kinds.KINDS, ids=lambda kind: kind.name)
def test_every_layer_of_a_published_model_comes_back_from_kohyas_names(kind):
    for part in ("unet", *kind.texts):
        known = [one for one in layers(kind, part) if "embeddings." not in one]
        named = {one: layouts.kohyas(part, one, sdxl=kind is kinds.SDXL) for one in known}
        assert len(set(named.values())) == len(known) > 50
        for layer, name in named.items():
            assert layouts.parsed(f"{name}.lora_down.weight") == (part, layer, "down")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        (
            "lora_te1_text_model_encoder_layers_0_self_attn_q_proj.alpha",
            ("text_encoder", "text_model.encoder.layers.0.self_attn.q_proj", "alpha"),
        ),
        ("lora_te2_text_projection.lora_up.weight", ("text_encoder_2", "text_projection", "up")),
        ("lora_unet_input_blocks_3_0_op.lora_down.weight", ("unet", "down_blocks.0.downsamplers.0.conv", "down")),
        ("lora_unet_down_blocks_0_downsamplers_0_conv.alpha", ("unet", "down_blocks.0.downsamplers.0.conv", "alpha")),
        ("unet.mid_block.attentions.0.proj_in.lora.up.weight", ("unet", "mid_block.attentions.0.proj_in", "up")),
        ("text_encoder.encoder.layers.0.mlp.fc1.lora_A.weight",
         ("text_encoder", "text_model.encoder.layers.0.mlp.fc1", "down")),
        ("unet.conv_in.lora_magnitude_vector", ("unet", "conv_in", "magnitude")),
        ("lora_unet_conv_in.dora_scale", ("unet", "conv_in", "scale")),
    ],
)  # fmt: skip
def test_names_of_both_layouts(name, meant):
    assert layouts.parsed(name) == meant
