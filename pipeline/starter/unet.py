"""The starter's UNet: trained from scratch by gesso's own method `full`, on drawn pictures and their captions."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from pipeline.methods import full
from pipeline.starter import pictures, wording
from pipeline.starter.vae import to_model
from pipeline.training.data import MemoryExamples
from pipeline.training.settings import TrainSettings

POOL = 20_000


def build() -> UNet2DConditionModel:
    """A UNet over 4 x 16 x 16 latents: 64 and 128 channels, attention to the caption at the lower level."""
    torch.manual_seed(3)
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(64, 128),
        layers_per_block=1,
        cross_attention_dim=128,
        attention_head_dim=4,
        norm_num_groups=16,
    )


def scheduler() -> DDPMScheduler:
    """The noise of Ho et al. 2020: 1000 steps of linear betas up to 0.02, predicting epsilon.

    Stable Diffusion's own betas end at 0.012 and leave 7 % of the picture at the last step. In 16 x 16 latents of plain
    grounds that shows their colour, so the UNet learns to read it there, and pure noise then gives grey grounds.
    """
    return DDPMScheduler(
        beta_start=0.0001,
        beta_end=0.02,
        beta_schedule="linear",
        num_train_timesteps=1000,
        clip_sample=False,
        steps_offset=1,
    )


@torch.no_grad()
def examples(
    vae: AutoencoderKL, encoder: CLIPTextModel, tokenizer: CLIPTokenizer, *, count: int = POOL
) -> MemoryExamples:
    """Drawn pictures' moments and captions' embeddings, in memory."""
    drawn = [pictures.picture(50_000_000 + seed, held_out=False) for seed in range(count)]
    moments, text = [], []
    for start in range(0, count, 256):
        part = drawn[start : start + 256]
        moments.append(vae.encode(to_model(np.stack([one.pixels for one in part]))).latent_dist.parameters)
        captions = [wording.with_strange_prefix(one.caption, start + place) for place, one in enumerate(part)]
        text.append(encode(encoder, tokenizer, captions).half())
    return MemoryExamples(
        moments=torch.cat(moments),
        text=torch.cat(text),
        empty_text=encode(encoder, tokenizer, [""])[0],
        scale=float(vae.config.scaling_factor),
    )


@torch.no_grad()
def encode(encoder: CLIPTextModel, tokenizer: CLIPTokenizer, captions: list[str]) -> torch.Tensor:
    """N x 77 x 128: the last hidden state of each caption, padded to 77 tokens as the pipeline pads its prompts."""
    ids = tokenizer(captions, padding="max_length", max_length=77, truncation=True, return_tensors="pt").input_ids
    hidden: torch.Tensor = encoder(ids)[0]
    return hidden


def train(data: MemoryExamples, work: Path, *, steps: int, say: Callable[[str], None]) -> UNet2DConditionModel:
    """Train from scratch; a killed run goes on from its newest checkpoint."""
    unet = build()
    settings = TrainSettings(
        method="full",
        steps=steps,
        batch_size=32,
        learning_rate=1.2e-3,
        lr_schedule="cosine",
        warmup_steps=100,
        mixed_precision="bf16",
        ema_decay=0.998,
        caption_dropout=0.1,
        min_snr_gamma=5.0,
        checkpoint_every=250,
    )
    result = full.train(unet, data, scheduler(), settings, folder=work, say=say)
    trained: UNet2DConditionModel = UNet2DConditionModel.from_pretrained(result.folder / "unet")
    return trained
