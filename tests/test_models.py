import json
import shutil
import time

import pytest
import torch
from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from pipeline import model_files, models
from pipeline.errors import ModelError, RecipeError
from pipeline.training.painter import Painter


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    words = ["<|startoftext|>", "<|endoftext|>", *(f"{letter}</w>" for letter in "abc"), *"abc"]
    tokenizer = CLIPTokenizer(vocab={word: place for place, word in enumerate(words)}, merges=[], model_max_length=77)
    text = CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        bos_token_id=0,
        eos_token_id=1,
    )
    StableDiffusionPipeline(
        vae=AutoencoderKL(
            block_out_channels=(8, 8),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            norm_num_groups=4,
            latent_channels=4,
            scaling_factor=0.25,
        ),
        text_encoder=CLIPTextModel(text),
        tokenizer=tokenizer,
        unet=UNet2DConditionModel(
            sample_size=8,
            block_out_channels=(8, 16),
            layers_per_block=1,
            norm_num_groups=4,
            cross_attention_dim=16,
            attention_head_dim=4,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        ),
        scheduler=PNDMScheduler(
            beta_schedule="scaled_linear", beta_end=0.012, prediction_type="v_prediction", skip_prk_steps=True
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    return folder


@pytest.fixture
def model(built, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(built, folder)
    models.release()
    return folder


def change_json(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_a_folder_is_located_and_its_parts_load(model):
    assert models.locate(str(model)) == model
    assert models.load_trainable("unet", models.locate(str(model))).config.cross_attention_dim == 16
    assert models.load_vae(str(model), dtype="bfloat16").dtype == torch.bfloat16
    encoder, tokenizer = models.load_text_encoder(str(model))
    hidden = encoder(tokenizer(["a b"], padding="max_length", return_tensors="pt").input_ids)[0]
    assert hidden.shape == (1, 77, 16)


def test_the_schedule_is_ddpm_with_the_models_own_numbers(model):
    scheduler = models.load_scheduler(str(model))
    wanted = PNDMScheduler.from_pretrained(model / "scheduler")
    assert torch.equal(scheduler.alphas_cumprod, wanted.alphas_cumprod)
    assert scheduler.config.prediction_type == "v_prediction"


def rescaled(alphas):
    """Algorithm 1 of Lin et al. 2023 on the cumulated products."""
    roots = alphas.double().sqrt()
    return ((roots - roots[-1]) * roots[0] / (roots[0] - roots[-1])).square()


@pytest.mark.parametrize("asked", [True, False])
def test_a_schedule_is_rescaled_by_the_recipe_or_the_model(model, asked):
    plain = models.load_scheduler(str(model)).alphas_cumprod
    assert plain[-1] > 0
    if not asked:
        change_json(model / "scheduler" / "scheduler_config.json", rescale_betas_zero_snr=True)
    scheduler = models.load_scheduler(str(model), zero_terminal_snr=asked)
    assert torch.allclose(scheduler.alphas_cumprod.double(), rescaled(plain), atol=1e-6)
    assert scheduler.alphas_cumprod[-1] == 0
    # samples begin at that very timestep, by the same schedule, and are not cut to -1..1
    sampler = models.load_pipeline(str(model), zero_terminal_snr=asked).scheduler
    sampler.set_timesteps(5)
    assert sampler.timesteps.tolist() == [999, 799, 599, 399, 199]
    assert torch.equal(sampler.alphas_cumprod, scheduler.alphas_cumprod)
    assert sampler.config.prediction_type == "v_prediction"
    assert not sampler.config.clip_sample


def test_a_model_that_predicts_noise_cannot_begin_with_noise_alone(model):
    assert isinstance(models.load_pipeline(str(model)).scheduler, PNDMScheduler)
    change_json(model / "scheduler" / "scheduler_config.json", prediction_type="epsilon")
    with pytest.raises(RecipeError, match=r"train\.zero_terminal_snr.*v_prediction"):
        models.load_scheduler(str(model), zero_terminal_snr=True)


def test_frozen_models_are_kept_and_a_unet_is_new_each_time(model):
    assert models.load_vae(str(model)) is models.load_vae(str(model))
    assert not any(one.requires_grad for one in models.load_vae(str(model)).parameters())
    assert models.load_trainable("unet", models.locate(str(model))) is not models.load_trainable(
        "unet", models.locate(str(model))
    )
    kept = models.load_vae(str(model))
    models.release()
    assert models.load_vae(str(model)) is not kept


def test_a_pipeline_samples_with_another_unet(model):
    unet = models.load_trainable("unet", models.locate(str(model)))
    torch.nn.init.zeros_(unet.conv_out.weight)
    pipeline = models.load_pipeline(str(model), painter=Painter(unet))
    assert pipeline.unet is unet
    assert pipeline.safety_checker is None
    made = pipeline("a", num_inference_steps=1, output_type="np", height=16, width=16).images
    assert made.shape == (1, 16, 16, 3)


@pytest.mark.parametrize("part", ["vae", "unet", "text_encoder"])
def test_a_hash_follows_its_own_part_alone(model, part):
    def hashes():
        return {name: models.weights_hash(model, name) for name in ("vae", "unet", "text_encoder")}

    before = hashes()
    config = model / part / "config.json"
    change_json(config, _diffusers_version="0.0.1", _name_or_path="elsewhere")
    config.write_text(json.dumps(json.loads(config.read_text()), indent=7))
    assert hashes() == before

    weights = next((model / part).glob("*.safetensors"))
    weights.with_name("diffusion_pytorch_model.fp16.safetensors").write_bytes(b"another format of the same")
    assert hashes() == before

    changed = bytearray(weights.read_bytes())
    changed[-1] ^= 1
    weights.write_bytes(bytes(changed))
    after = hashes()
    assert {name for name in before if before[name] != after[name]} == {part}

    change_json(config, scaling_factor=0.5)
    assert hashes()[part] != after[part]


def test_another_tokenizer_is_another_text_encoder(model):
    before = models.weights_hash(model, "text_encoder")
    config = model / "tokenizer" / "tokenizer_config.json"
    change_json(config, model_max_length=20)
    assert models.weights_hash(model, "text_encoder") != before


def test_changed_weights_are_loaded_anew(model):
    first = models.load_vae(str(model))
    other = AutoencoderKL.from_config(first.config)
    other.save_pretrained(model / "vae")
    second = models.load_vae(str(model))
    assert torch.equal(second.encoder.conv_in.weight, other.encoder.conv_in.weight)


def test_a_path_that_is_not_there_is_refused_at_once():
    began = time.monotonic()
    for reference in ("/no/such/folder", "./nothing", "no/such/model/here", "~/nowhere-at-all"):
        with pytest.raises(ModelError, match="no such folder or file") as caught:
            models.locate(reference)
        assert caught.value.field == "base_model.id"
        assert caught.value.value == reference
    assert time.monotonic() - began < 1


def test_pickles_are_refused(model, tmp_path):
    with pytest.raises(ModelError, match="pickle"):
        models.locate(str(tmp_path / "model.ckpt"))
    (model / "unet" / "diffusion_pytorch_model.safetensors").rename(model / "unet" / "diffusion_pytorch_model.bin")
    with pytest.raises(ModelError, match="pickled weights only in unet"):
        models.locate(str(model))


def test_what_is_not_whole_is_named(model):
    shutil.rmtree(model / "vae")
    with pytest.raises(ModelError, match=r"no vae/config\.json"):
        models.locate(str(model))
    with pytest.raises(ModelError, match=r"no config\.json"):
        models.locate(str(model), part="clip", field="evaluate.clip")
    (model / "model_index.json").unlink()
    with pytest.raises(ModelError, match=r"no model_index\.json"):
        models.locate(str(model))


def test_a_family_that_is_not_supported_is_named(model):
    change_json(model / "model_index.json", _class_name="StableDiffusion3Pipeline")
    with pytest.raises(ModelError, match="StableDiffusion3Pipeline"):
        models.locate(str(model))


def test_a_missing_starter_tells_how_to_build_it(monkeypatch, tmp_path):
    monkeypatch.setattr(model_files, "STARTER", tmp_path)
    with pytest.raises(ModelError, match="gesso starter build"):
        models.locate("starter")


def test_the_device_is_as_named_else_what_there_is():
    assert models.device_of("cuda:1") == "cuda:1"
    assert models.device_of("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
