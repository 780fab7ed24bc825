"""Item 13 of the notes: an adapter's update is the same wherever it is opened."""

import pytest
import torch
from diffusers.loaders import StableDiffusionLoraLoaderMixin
from safetensors.torch import load_file

from pipeline.methods import lora
from pipeline.training import weights
from pipeline.training.painter import Painter
from pipeline.training.settings import TrainSettings

SETTINGS = TrainSettings(rank=3, alpha=7.5)
WEIGHTS = "pipeline.training.weights:"


def updates(unet):
    """What the adapter adds to each layer's matrix: alpha / rank times up times down."""
    return {
        name: module.get_delta_weight(module.active_adapters[0])
        for name, module in unet.named_modules()
        if hasattr(module, "get_delta_weight")
    }


def same(one, two):
    assert one.keys() == two.keys()
    assert one
    for name, value in one.items():
        assert torch.allclose(value, two[name], atol=1e-7), name


def exported(tiny):
    unet = tiny.unet()
    config = lora.add_adapters(Painter(unet), SETTINGS)
    for name, one in unet.named_parameters():
        if "lora_B" in name:
            one.data.normal_()
    for save in (weights.save_lora, weights.save_kohya):
        save({"unet": unet}, tiny.folder, config=config, header={})
    return updates(unet)


def diffusers_opens_its_own_layout_with_the_same_update(tiny):
    wanted, other = exported(tiny), tiny.unet()
    other.load_lora_adapter(tiny.folder, prefix="unet", weight_name=weights.LORA_FILE)
    same(wanted, updates(other))


def gesso_opens_what_it_wrote(tiny):
    same(exported(tiny), updates(lora.load(Painter(tiny.unet()), tiny.folder).unet))


def diffusers_opens_kohyas_layout_with_the_same_update(tiny):
    wanted, other = exported(tiny), tiny.unet()
    layers, alphas = StableDiffusionLoraLoaderMixin.lora_state_dict(tiny.folder, weight_name=weights.KOHYA_FILE)
    other.load_lora_adapter(layers, prefix="unet", network_alphas=alphas)
    same(wanted, updates(other))


def kohyas_own_formula_gives_the_same_update(tiny):
    wanted, layers = exported(tiny), load_file(tiny.folder / weights.KOHYA_FILE)
    found = {}
    for name in wanted:
        key = f"lora_unet_{name.replace('.', '_')}"
        up, down = (layers[f"{key}.lora_{side}.weight"] for side in ("up", "down"))
        alpha = layers.get(f"{key}.alpha", torch.tensor(float(len(down))))
        found[name] = float(alpha) / len(down) * up @ down
    same(wanted, found)


SAVED_ALPHA = (WEIGHTS + "save_lora", "config.lora_alpha", "config.r")
NO_ALPHAS = (WEIGHTS + "save_kohya", "{**converted, **alphas}", "converted")
ROUNDED_ALPHA = (
    WEIGHTS + "save_kohya",
    "torch.tensor(float(config.lora_alpha))",
    "torch.tensor(int(config.lora_alpha))",
)
VALUE = "(converted[name.replace('_q.', '_v.')] if 'attn1' in name else one).clone()"
EXCHANGED = (WEIGHTS + "save_kohya", "**converted,", f"**{{name: {VALUE} for name, one in converted.items()}},")
HALVED = (WEIGHTS + "_save", "value.detach()", "value.detach().half()")
TRAPS = {
    diffusers_opens_its_own_layout_with_the_same_update: {
        "alpha is the rank": SAVED_ALPHA,
        "alpha is missing": (WEIGHTS + "save_lora", '"lora_adapter_metadata"', '"lora_metadata"'),
        "the weights lose precision": HALVED,
    },
    gesso_opens_what_it_wrote: {"alpha is the rank": SAVED_ALPHA},
    diffusers_opens_kohyas_layout_with_the_same_update: {
        "alpha is the rank": NO_ALPHAS,
        "alpha is missing": (
            WEIGHTS + "save_kohya",
            "{**converted, **alphas}",
            "{name: one for name, one in converted.items() if 'alpha' not in name}",
        ),
        "alpha is rounded": ROUNDED_ALPHA,
        "layers are exchanged": EXCHANGED,
    },
    kohyas_own_formula_gives_the_same_update: {
        "alpha is the rank": NO_ALPHAS,
        "the weights are scaled already": (
            WEIGHTS + "save_kohya",
            "**converted,",
            "**{name: one * config.lora_alpha / config.r for name, one in converted.items()},",
        ),
    },
}


def test_it_holds(check, tiny):
    check(tiny)


def test_a_planted_bug_is_found(check, bug, tiny, plant):
    with plant(*bug), pytest.raises(AssertionError):
        check(tiny)
