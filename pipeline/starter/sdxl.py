"""A tiny model of Stable Diffusion XL's shape with drawn weights, to try SDXL's whole path where there is no real one.

It has every part that SDXL has, of the same classes and wired the same: two text encoders of different widths, a
summary of the caption, sizes and crops, a UNet of three levels with several transformers at the lower two. It has
learned nothing: what it paints is noise.
"""

from pathlib import Path

import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from pipeline import atomic, models
from pipeline.errors import InputError
from pipeline.starter import architectures

WIDTHS = (16, 24)
"""Of the two text encoders; 768 and 1280 in SDXL."""
SUMMARY = 20
"""Width of a caption's summary; 1280 in SDXL."""
SCALING = 0.13025
"""Factor of SDXL's latents."""


def write(folder: Path, *, seed: int = 0) -> str:
    """Write the model into a new folder as diffusers saves it; the same seed gives the same weights.

    Raises:
        InputError: the folder is there already and not empty.
    """
    if folder.exists() and any(folder.iterdir()):
        raise InputError(
            "this folder is not empty",
            field="--to",
            value=str(folder),
            remedy="Name a new folder; nothing was written.",
        )
    with atomic.folder(folder) as fresh, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pipeline().save_pretrained(fresh)
    return f"a tiny model of SDXL's shape in {folder}; name it as base_model.id"


def pipeline() -> StableDiffusionXLPipeline:
    """The model's parts, with weights drawn from torch's global stream."""
    words = CLIPTokenizer.from_pretrained(_words(), local_files_only=True)
    # SDXL's second tokenizer fills up with exclamation marks, its first with ends of text
    marks = CLIPTokenizer.from_pretrained(_words(), local_files_only=True, pad_token="!")  # noqa: S106 - no password
    vae = architectures.vae()
    vae.register_to_config(scaling_factor=SCALING)
    first, second = (_text(words, width) for width in WIDTHS)
    return StableDiffusionXLPipeline(
        vae=vae.eval(),
        text_encoder=CLIPTextModel(first).eval(),
        text_encoder_2=CLIPTextModelWithProjection(second).eval(),
        tokenizer=words,
        tokenizer_2=marks,
        unet=unet().eval(),
        scheduler=scheduler(),
        add_watermarker=False,
    )


def unet() -> UNet2DConditionModel:
    """A UNet over 4 x 16 x 16 latents, wired as SDXL's."""
    return UNet2DConditionModel(
        sample_size=architectures.SIDE // 4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(8, 16, 16),
        layers_per_block=2,
        transformer_layers_per_block=(1, 1, 2),
        attention_head_dim=(1, 2, 2),
        norm_num_groups=4,
        cross_attention_dim=sum(WIDTHS),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=SUMMARY + 6 * 8,
    )


def scheduler() -> EulerDiscreteScheduler:
    """SDXL's own noise and sampler."""
    return EulerDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        timestep_spacing="leading",
        steps_offset=1,
    )


def _text(words: CLIPTokenizer, width: int) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=2,
        projection_dim=SUMMARY,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )


def _words() -> Path:
    return models.locate("starter", untrained="unet") / "tokenizer"
