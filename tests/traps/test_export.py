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
DORA = TrainSettings(rank=3, alpha=7.5, conv_rank=2, conv_alpha=5.0, use_dora=True)
WEIGHTS = "pipeline.training.weights:"


def updates(unet):
    """What the adapter adds to each layer's matrix: alpha / rank times up times down."""
    return {
        name: module.get_delta_weight(module.active_adapters[0])
        for name, module in unet.named_modules()
        if hasattr(module, "get_delta_weight")
    }


def merged(unet):
    """The weights of the adapted layers with their adapter in them, magnitudes too."""
    found = {}
    for name, module in unet.named_modules():
        if hasattr(module, "get_delta_weight"):
            module.merge()
            found[name] = module.get_base_layer().weight.detach().clone()
            module.unmerge()
    return found


def same(one, two):
    assert one.keys() == two.keys()
    assert one
    for name, value in one.items():
        assert torch.allclose(value, two[name], atol=1e-7), name


def exported(tiny, settings=SETTINGS):
    unet = tiny.unet()
    config = lora.add_adapters(Painter(unet), settings)
    for name, one in unet.named_parameters():
        if "lora_B" in name:
            one.data.normal_()
        if "magnitude" in name:
            one.data *= 1 + torch.rand_like(one)
    for save in (weights.save_lora, weights.save_kohya):
        save({"unet": unet}, tiny.folder, config=config, header={})
    return merged(unet) if settings.use_dora else updates(unet)


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


def gesso_and_diffusers_open_dora_with_the_same_update(tiny):
    wanted, other = exported(tiny, DORA), tiny.unet()
    other.load_lora_adapter(tiny.folder, prefix="unet", weight_name=weights.LORA_FILE)
    same(wanted, merged(other))
    same(wanted, merged(lora.load(Painter(tiny.unet()), tiny.folder).unet))
    # what goes on from a checkpoint is filled in place
    filled = tiny.unet()
    lora.add_adapters(Painter(filled), DORA)
    weights.load_lora({"unet": filled}, tiny.folder)
    same(wanted, merged(filled))


def the_formula_of_dora_gives_the_same_update_from_kohyas_layout(tiny):
    """As ComfyUI and LyCORIS read it, where the scale has a number for each output."""
    wanted, layers = exported(tiny, DORA), load_file(tiny.folder / weights.KOHYA_FILE)
    plain, found = dict(tiny.unet().named_modules()), {}
    assert len([name for name in layers if name.endswith("dora_scale")]) == len(wanted)
    for name in wanted:
        key = f"lora_unet_{name.replace('.', '_')}"
        up, down = (layers[f"{key}.lora_{side}.weight"] for side in ("up", "down"))
        base = plain[name].weight.detach()
        scale = float(layers[f"{key}.alpha"]) / len(down)
        moved = base + scale * (up.flatten(1) @ down.flatten(1)).view_as(base)
        length = moved.flatten(1).norm(dim=1).view(-1, *[1] * (base.ndim - 1))
        assert layers[f"{key}.dora_scale"].shape == length.shape
        found[name] = layers[f"{key}.dora_scale"] / length * moved
    assert wanted.keys() == found.keys()
    for name, value in wanted.items():
        assert torch.allclose(value, found[name], atol=1e-5), name


SAVED_ALPHA = (WEIGHTS + "save_lora", "config.lora_alpha", "config.r")
NO_ALPHAS = (WEIGHTS + "save_kohya", "{**converted, **alphas}", "converted")
ROUNDED_ALPHA = (
    WEIGHTS + "save_kohya",
    "torch.tensor(float(own.alpha_pattern",
    "torch.tensor(int(own.alpha_pattern",
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
    gesso_and_diffusers_open_dora_with_the_same_update: {
        "DoRA is not told": (WEIGHTS + "save_lora", '{"use_dora": True} if there.use_dora', "{} if there.use_dora"),
        "convolutions have the rank of attention": (WEIGHTS + "save_lora", "if there.rank_pattern", "if False"),
        "convolutions have the alpha of attention": (WEIGHTS + "save_lora", "if there.alpha_pattern", "if False"),
    },
    the_formula_of_dora_gives_the_same_update_from_kohyas_layout: {
        "no lengths are learned": ("pipeline.training.targets:config", "use_dora=settings.use_dora", "use_dora=False"),
        "no magnitudes": (WEIGHTS + "save_kohya", "magnitudes.items()", "{}.items()"),
        "magnitudes as peft has them": (WEIGHTS + "save_kohya", "dora.scale_of(value)", "value"),
        "one alpha for all": (
            WEIGHTS + "save_kohya",
            "own.alpha_pattern.get(layer, config.lora_alpha)",
            "config.lora_alpha",
        ),
        "up and down exchanged": (
            WEIGHTS + "save_kohya",
            "'down' if side.startswith('A') else 'up'",
            "'up' if side.startswith('A') else 'down'",
        ),
    },
}


def test_it_holds(check, tiny):
    check(tiny)


def test_a_planted_bug_is_found(check, bug, tiny, plant):
    # torch refuses a matrix of the wrong shape
    with plant(*bug), pytest.raises((AssertionError, RuntimeError)):
        check(tiny)
