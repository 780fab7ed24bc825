import json

import pytest
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPProcessor, CLIPTextModel, CLIPTokenizer

from pipeline import models
from pipeline.starter import architectures
from pipeline.starter.scene import scene
from pipeline.starter.wording import caption


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    target = tmp_path_factory.mktemp("models")
    architectures.write(target, [caption(scene(seed), seed=seed) for seed in range(300)])
    return target


def test_there_are_no_weights(folder):
    assert {one.name for one in folder.iterdir()} == {"vae", "clip", "blip", "sd"}
    assert not list(folder.rglob("*.safetensors"))


@pytest.mark.parametrize(("learns", "place"), [("vae", "vae"), ("clip", "clip"), ("blip", "blip"), ("unet", "sd")])
def test_weights_are_drawn_from_the_seed_alone(folder, learns, place):
    torch.manual_seed(5)
    one = models.load_trainable(learns, folder / place, seed=1).state_dict()
    torch.manual_seed(6)
    same, other = (models.load_trainable(learns, folder / place, seed=seed).state_dict() for seed in (1, 2))
    assert all(torch.equal(value, same[name]) for name, value in one.items())
    assert not all(torch.equal(value, other[name]) for name, value in one.items())


def test_the_parts_fit_together(folder):
    vae = models.load_trainable("vae", folder / "vae", seed=0)
    unet = models.load_trainable("unet", folder / "sd", seed=0)
    clip = models.load_trainable("clip", folder / "clip", seed=0)
    assert isinstance(vae, AutoencoderKL)
    assert isinstance(unet, UNet2DConditionModel)
    pipe = StableDiffusionPipeline(
        vae=vae,
        text_encoder=CLIPTextModel(clip.config.text_config),
        tokenizer=CLIPTokenizer.from_pretrained(folder / "sd" / "tokenizer", local_files_only=True),
        unet=unet,
        scheduler=architectures.scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    (image,) = pipe("a red circle", num_inference_steps=1, height=64, width=64).images
    assert image.size == (architectures.SIDE, architectures.SIDE)
    written = json.loads((folder / "sd" / "model_index.json").read_text())
    assert {name: kind[1] for name, kind in written.items() if name in pipe.components and kind[1]} == {
        name: "DPMSolverMultistepScheduler" if name == "scheduler" else type(one).__name__
        for name, one in pipe.components.items()
        if one is not None
    }


def test_training_noise_ends_where_it_is_told_to(folder):
    (folder / "sd" / "vae").mkdir(exist_ok=True)
    kept = json.loads((folder / "sd" / "scheduler" / "scheduler_config.json").read_text())
    assert (kept["beta_end"], kept["beta_schedule"], kept["prediction_type"]) == (0.02, "linear", "v_prediction")
    assert architectures.scheduler().alphas_cumprod[-1] < 1e-4


def test_clip_and_blip_see_and_read_what_the_starter_shows_them(folder):
    clip = models.load_trainable("clip", folder / "clip", seed=0)
    processor = CLIPProcessor.from_pretrained(folder / "clip", local_files_only=True)
    assert clip.config.text_config.vocab_size == len(processor.tokenizer)
    assert clip.config.text_config.eos_token_id == len(processor.tokenizer) - 1
    assert clip.config.vision_config.image_size == architectures.SIDE == processor.image_processor.crop_size["height"]
    blip = models.load_trainable("blip", folder / "blip", seed=0)
    words = models.load_processor("blip", folder / "blip").tokenizer
    text = blip.config.text_config
    assert (text.vocab_size, text.pad_token_id) == (len(words), words.pad_token_id)
    assert words.convert_ids_to_tokens(text.bos_token_id) == "[DEC]"
    assert words.convert_ids_to_tokens(text.sep_token_id) == "[SEP]"
    assert blip.vision_model.embeddings.patch_embedding.weight.std() > 0.01
