"""How an adapter's tensors are named in diffusers' layout and in kohya's, and what a name means."""

import re

from pipeline.errors import InputError
from pipeline.original import kinds, names
from pipeline.original.parts import published
from pipeline.training import kohya

ROLES = {
    "lora_A.weight": "down",
    "lora_B.weight": "up",
    "lora.down.weight": "down",
    "lora.up.weight": "up",
    "lora_linear_layer.down.weight": "down",
    "lora_linear_layer.up.weight": "up",
    "lora_down.weight": "down",
    "lora_up.weight": "up",
    "alpha": "alpha",
    "lora_magnitude_vector": "magnitude",
    "lora_magnitude_vector.weight": "magnitude",
    "dora_scale": "scale",
}
"""What a tensor is to its layer, by the end of its name."""
OTHERS = {"hada_w1_a": "LoHa", "lokr_w1": "LoKr", "lokr_w1_a": "LoKr", "lora_mid.weight": "LoCon by CP decomposition"}
"""Adapters that are composed in another way, by the end of a tensor's name."""
WORDS = (
    "down_blocks",
    "up_blocks",
    "mid_block",
    "input_blocks",
    "output_blocks",
    "middle_block",
    "transformer_blocks",
    "time_emb_proj",
    "conv_shortcut",
    "conv_in",
    "conv_out",
    "time_embedding",
    "add_embedding",
    "linear_1",
    "linear_2",
    "time_embed",
    "label_emb",
    "in_layers",
    "out_layers",
    "emb_layers",
    "skip_connection",
    "proj_in",
    "proj_out",
    "to_q",
    "to_k",
    "to_v",
    "to_out",
    "text_model",
    "self_attn",
    "q_proj",
    "k_proj",
    "v_proj",
    "out_proj",
    "text_projection",
)
"""Names with an underscore of their own: in kohya's layout all dots are underscores, too."""
ORIGINAL = ("input_blocks", "output_blocks", "middle_block", "time_embed", "label_emb", "out")
"""What names of the original code begin with."""
PARTS = {**{start: part for part, start in kohya.PREFIXES.items()}, kohya.ALONE: "text_encoder"}
"""Parts by what kohya's names begin with."""

_TOKEN = re.compile("(?:" + "|".join(sorted(WORDS, key=len, reverse=True)) + ")(?=_|$)|[^_]+")
_ENDS = sorted({**ROLES, **OTHERS}, key=len, reverse=True)


def parsed(name: str) -> tuple[str, str, str]:
    """Part, layer (by diffusers' name) and role (down, up, alpha, magnitude, scale) of a tensor of an adapter.

    Raises:
        InputError: it belongs to no LoRA.
    """
    ending = next((end for end in _ENDS if name.endswith(f".{end}")), None)
    if ending is None or ending in OTHERS:
        what = "this is no adapter" if ending is None else f"this adapter is a {OTHERS[ending]}"
        raise InputError(what, field=name, remedy="LoRA, LoCon and DoRA are known, in diffusers' and kohya's layout.")
    place = name.removesuffix(f".{ending}")
    for start, part in sorted(PARTS.items(), key=lambda one: -len(one[0])):
        if place.startswith(f"{start}_"):
            return part, _layer(place.removeprefix(f"{start}_")), ROLES[ending]
    part, _, layer = place.partition(".")
    if part not in kohya.PREFIXES:
        raise InputError("this is of no part of a base model", field=name, remedy="It ought to begin with unet.")
    return part, published(layer, part), ROLES[ending]


def kohyas(part: str, layer: str, *, sdxl: bool) -> str:
    """A layer's name in kohya's layout: for SDXL its UNet's layers have the original code's names."""
    start = kohya.PREFIXES[part] if sdxl or part == "unet" else kohya.ALONE
    if part == "unet" and sdxl:
        layer = names.of_unet(layer, kinds.SDXL.published["unet"])
    return f"{start}_{layer.replace('.', '_')}"


def _layer(flat: str) -> str:
    """The layer by diffusers' name, of a name without dots."""
    dotted = ".".join(_TOKEN.findall(flat))
    return names.of_diffusers(dotted) if dotted.startswith(tuple(f"{one}." for one in ORIGINAL)) else dotted
