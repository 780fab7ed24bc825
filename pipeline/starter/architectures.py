"""The starter models' architectures: sizes, tokenizers, processors and noise schedule, in folders without weights.

They are the classes of Stable Diffusion 1.5, of OpenAI's CLIP and of Salesforce's BLIP, made small.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDPMScheduler, DPMSolverMultistepScheduler, UNet2DConditionModel
from transformers import (
    BertTokenizer,
    BlipConfig,
    BlipImageProcessor,
    BlipTextConfig,
    BlipVisionConfig,
    CLIPConfig,
    CLIPImageProcessor,
    CLIPTextConfig,
    CLIPTokenizer,
    CLIPVisionConfig,
)

from pipeline.starter.tokenizers import blip_tokenizer, clip_tokenizer

SIDE = 64
"""Pictures are SIDE x SIDE pixels."""
WIDTH, HEADS, PATCH = 128, 4, 8
"""Of CLIP and BLIP: width, attention heads, and side of a patch in pixels."""
SEES = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}


def vae() -> AutoencoderKL:
    """A VAE that shrinks by 4: a 64 px picture becomes 4 x 16 x 16 latents."""
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(24, 48, 64),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=SIDE,
    )


def unet() -> UNet2DConditionModel:
    """A UNet over 4 x 16 x 16 latents: 64 and 128 channels, attention to the caption at the lower level."""
    return UNet2DConditionModel(
        sample_size=SIDE // 4,
        in_channels=4,
        out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(64, 128),
        layers_per_block=1,
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
        resnet_time_scale_shift="scale_shift",
    )


def scheduler() -> DDPMScheduler:
    """The noise of Ho et al. 2020: 1000 steps of linear betas up to 0.02, predicting velocity.

    From nearly pure noise, an error in the noise that is predicted is one a hundred times as large in the picture, and
    a ground's colour is chosen there: velocity has no such factor (Salimans & Ho 2022, section 4). Stable Diffusion's
    own betas end at 0.012 and leave 7 % of the picture at the last step. In 16 x 16 latents of plain grounds that shows
    their colour, so the UNet learns to read it there, and pure noise then gives grey grounds.
    """
    return DDPMScheduler(
        beta_start=0.0001,
        beta_end=0.02,
        beta_schedule="linear",
        prediction_type="v_prediction",
        num_train_timesteps=1000,
        clip_sample=False,
        steps_offset=1,
    )


def clip(tokenizer: CLIPTokenizer) -> CLIPConfig:
    """A CLIP of 128 dimensions: three layers of text, four of vision over 8 px patches of 64 px pictures."""
    shared = {"hidden_size": WIDTH, "intermediate_size": 4 * WIDTH, "num_attention_heads": HEADS}
    text = CLIPTextConfig(
        vocab_size=len(tokenizer),
        num_hidden_layers=3,
        max_position_embeddings=77,
        projection_dim=WIDTH,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **shared,
    )
    vision = CLIPVisionConfig(image_size=SIDE, patch_size=PATCH, num_hidden_layers=4, projection_dim=WIDTH, **shared)
    return CLIPConfig(
        text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=WIDTH, architectures=["CLIPModel"]
    )


def blip(tokenizer: BertTokenizer) -> BlipConfig:
    """A BLIP of 128 dimensions: four layers of vision over 8 px patches, three of text that look at them."""
    shared = {"hidden_size": WIDTH, "intermediate_size": 4 * WIDTH, "num_attention_heads": HEADS}
    text = BlipTextConfig(
        vocab_size=len(tokenizer),
        num_hidden_layers=3,
        encoder_hidden_size=WIDTH,
        projection_dim=WIDTH,
        max_position_embeddings=64,
        bos_token_id=tokenizer.convert_tokens_to_ids("[DEC]"),
        eos_token_id=tokenizer.sep_token_id,
        sep_token_id=tokenizer.sep_token_id,
        pad_token_id=tokenizer.pad_token_id,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        **shared,
    )
    vision = BlipVisionConfig(
        image_size=SIDE,
        patch_size=PATCH,
        num_hidden_layers=4,
        projection_dim=WIDTH,
        hidden_act="quick_gelu",
        initializer_range=0.02,  # the class's own 1e-10 is for weights that are loaded: from it nothing learns to see
        **shared,
    )
    return BlipConfig(
        text_config=text.to_dict(),
        vision_config=vision.to_dict(),
        projection_dim=WIDTH,
        architectures=["BlipForConditionalGeneration"],
    )


def write(models: Path, captions: Sequence[str]) -> None:
    """Write into `models` the folders `vae`, `clip`, `blip` and `sd`, each as its recipe's base model but for weights.

    The tokenizers learn their words from `captions`. Of `sd`, the UNet alone begins without weights: its VAE, text
    encoder and tokenizer are those that were trained before.
    """
    words = clip_tokenizer(captions, models / "clip")
    letters = blip_tokenizer(captions, models / "blip")
    clip(words).save_pretrained(models / "clip")
    blip(letters).save_pretrained(models / "blip")
    sides = {"height": SIDE, "width": SIDE}
    CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size=sides, **SEES).save_pretrained(models / "clip")
    BlipImageProcessor(size=sides, **SEES).save_pretrained(models / "blip")
    with torch.device("meta"):
        vae().save_config(models / "vae" / "vae")
        unet().save_config(models / "sd" / "unet")
    DPMSolverMultistepScheduler.from_config(scheduler().config).save_pretrained(models / "sd" / "scheduler")
    words.save_pretrained(models / "sd" / "tokenizer")
    _write_index(models / "sd" / "model_index.json")


def _write_index(path: Path) -> None:
    parts = {
        "scheduler": ["diffusers", "DPMSolverMultistepScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "feature_extractor": [None, None],
        "image_encoder": [None, None],
        "safety_checker": [None, None],
    }
    told = {"_class_name": "StableDiffusionPipeline", **parts, "requires_safety_checker": False}
    path.write_text(json.dumps(told, indent=2), encoding="utf-8")
