import json

import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, DDPMScheduler, StableDiffusionPipeline
from safetensors import safe_open
from safetensors.torch import load_file
from transformers import CLIPTextConfig, CLIPTextModel

from pipeline.errors import RecipeError
from pipeline.methods import lora
from pipeline.training.job import Job
from pipeline.training.painter import Painter
from pipeline.training.settings import TrainSettings

SCHEDULER = DDPMScheduler()
FILE = "pytorch_lora_weights.safetensors"


def settings(**changes):
    chosen = {
        "method": "lora",
        "steps": 4,
        "batch_size": 2,
        "gradient_accumulation": 2,
        "learning_rate": 1e-2,
        "checkpoint_every": 2,
        "rank": 3,
        "alpha": 7.5,
        "dropout": 0.1,
        "ema_decay": 0.5,
    }
    return TrainSettings(**{**chosen, **changes})


@pytest.fixture
def train(tiny_unet, examples):
    def run(folder, chosen, **more):
        unet = tiny_unet()
        return unet, lora.train(Painter(unet), examples, SCHEDULER, chosen, Job(folder, **more))

    return run


def answer(unet):
    draws = torch.Generator().manual_seed(3)
    noisy, text = torch.randn(2, 4, 8, 8, generator=draws), torch.randn(2, 77, 16, generator=draws)
    with torch.no_grad():
        return unet.eval()(noisy, torch.tensor([10, 700]), encoder_hidden_states=text).sample


def pipeline_with(unet):
    text = CLIPTextConfig(
        vocab_size=16, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2
    )
    return StableDiffusionPipeline(
        vae=AutoencoderKL(block_out_channels=(8,), norm_num_groups=4),
        text_encoder=CLIPTextModel(text),
        tokenizer=None,
        unet=unet,
        scheduler=DDIMScheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def test_the_adapter_in_diffusers_pipeline_answers_as_the_trained_model(train, tiny_unet, tmp_path):
    trained, result = train(tmp_path, settings())
    pipe = pipeline_with(tiny_unet())
    pipe.load_lora_weights(result.folder)
    assert torch.allclose(answer(pipe.unet), answer(trained), atol=1e-5)
    assert not torch.allclose(answer(tiny_unet()), answer(trained), atol=1e-3)
    (config,) = pipe.unet.peft_config.values()
    assert (config.r, config.lora_alpha, config.lora_dropout) == (3, 7.5, 0.1)


def test_alpha_scales_the_update(train, tiny_unet, tmp_path):
    trained, result = train(tmp_path, settings(alpha=None))
    (config,) = trained.peft_config.values()
    assert config.lora_alpha == config.r
    pipe = pipeline_with(tiny_unet())
    pipe.load_lora_weights(result.folder)
    whole = answer(pipe.unet)
    pipe.unet.set_adapters(list(pipe.unet.peft_config), weights=0.0)
    assert torch.allclose(answer(pipe.unet), answer(tiny_unet()), atol=1e-6)
    assert not torch.allclose(answer(pipe.unet), whole, atol=1e-3)


def test_the_header_tells_what_the_adapter_comes_from(train, examples, tmp_path):
    train(tmp_path, settings(), header={"gesso_base_model": "tiny", "gesso_trainset_digest": "abc"})
    with safe_open(tmp_path / "weights" / FILE, "pt") as file:
        header = file.metadata()
    assert header["gesso_base_model"] == "tiny"
    assert header["gesso_trainset_digest"] == "abc"
    assert header["gesso_method"] == "lora"
    assert json.loads(header["lora_adapter_metadata"])["unet.lora_alpha"] == 7.5
    train(tmp_path / "plain", settings())
    with safe_open(tmp_path / "plain" / "weights" / FILE, "pt") as file:
        assert file.metadata()["gesso_trainset_digest"] == examples.digest


def test_only_the_adapter_changes(train, tiny_unet, tmp_path):
    trained, _ = train(tmp_path, settings())
    before = tiny_unet().state_dict()
    after = {name.replace(".base_layer", ""): value for name, value in trained.state_dict().items()}
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    moved = [name for name in after if name not in before]
    assert moved
    assert all(".lora_" in name and ".attn" in name for name in moved)


def test_dora_learns_lengths_and_begins_as_the_base_model(tiny_unet, train, tmp_path):
    fresh = Painter(tiny_unet())
    lora.add_adapters(fresh, settings(use_dora=True, conv_rank=2))
    assert torch.allclose(answer(fresh.unet), answer(tiny_unet()), atol=1e-5)
    begun = {name: one for name, one in fresh.unet.named_parameters() if "magnitude" in name}
    trained, _ = train(tmp_path, settings(use_dora=True, conv_rank=2, ema_decay=0))
    ended = dict(trained.named_parameters())
    assert len(begun) == len({name for name in ended if "lora_B" in name})
    assert all(not torch.equal(one, ended[name]) for name, one in begun.items())


class Killed(Exception):  # noqa: N818 - it stands for a signal
    pass


@pytest.mark.parametrize("changes", [{"ema_decay": 0.0}, {"ema_decay": 0.5}, {"use_dora": True, "conv_rank": 2}])
def test_a_killed_training_ends_bitwise_as_an_undisturbed_one(train, tmp_path, changes):
    chosen = settings(**changes)
    _, straight = train(tmp_path / "straight", chosen)

    def kill(step, _unet):
        if step == 4:
            raise Killed

    with pytest.raises(Killed):
        train(tmp_path / "killed", chosen, on_checkpoint=kill)
    _, resumed = train(tmp_path / "killed", chosen)
    assert resumed.losses == straight.losses
    names = ["weights/" + FILE, *(["weights/raw/" + FILE] if chosen.ema_decay else [])]
    for name in names:
        wanted, found = load_file(tmp_path / "straight" / name), load_file(tmp_path / "killed" / name)
        assert wanted.keys() == found.keys()
        assert all(torch.equal(value, found[key]) for key, value in wanted.items())


def test_every_checkpoint_is_an_adapter(train, tiny_unet, tmp_path):
    seen = {}
    train(tmp_path, settings(), on_checkpoint=lambda step, one: seen.update({step: answer(one.unet)}))
    for step, wanted in seen.items():
        pipe = pipeline_with(tiny_unet())
        pipe.load_lora_weights(tmp_path / "checkpoints" / f"step-{step:07d}")
        assert torch.allclose(answer(pipe.unet), wanted, atol=1e-5)
    assert sorted(seen) == [2, 4]


def test_frozen_weights_in_bf16_carry_a_float32_adapter(tiny_unet, examples, tmp_path):
    unet = tiny_unet().to(torch.bfloat16)
    chosen = settings(mixed_precision="bf16", gradient_checkpointing=True)
    result = lora.train(Painter(unet), examples, SCHEDULER, chosen, Job(tmp_path))
    kinds = {".lora_" in name: value.dtype for name, value in unet.named_parameters()}
    assert kinds == {True: torch.float32, False: torch.bfloat16}
    assert len(result.losses) == 4


def test_a_layer_that_is_not_there_is_the_recipes_fault(train, tmp_path):
    with pytest.raises(RecipeError, match=r"train\.target_modules.*to_quux"):
        train(tmp_path, settings(target_modules=("to_quux",)))
