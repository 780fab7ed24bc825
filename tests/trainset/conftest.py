import string

import pytest
import torch
from diffusers import AutoencoderKL, DDPMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from pipeline.stage import Tools
from pipeline.workspace import Workspace


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    """The folder of a tiny model of Stable Diffusion's shape, whose tokenizer knows small letters and digits."""
    folder = tmp_path_factory.mktemp("base")
    torch.manual_seed(0)
    letters = string.ascii_lowercase + string.digits + ","
    words = ["<|startoftext|>", "<|endoftext|>", *(f"{letter}</w>" for letter in letters), *letters]
    text = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    StableDiffusionPipeline(
        vae=AutoencoderKL(
            block_out_channels=(4, 4, 4),
            down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3,
            norm_num_groups=2,
            latent_channels=4,
            scaling_factor=0.25,
        ),
        text_encoder=CLIPTextModel(CLIPTextConfig(vocab_size=len(words), bos_token_id=0, eos_token_id=1, **text)),
        tokenizer=CLIPTokenizer(vocab={word: at for at, word in enumerate(words)}, merges=[], model_max_length=77),
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
        scheduler=DDPMScheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    return str(folder)


@pytest.fixture
def tools(tmp_path):
    return Tools(Workspace.create(tmp_path / "w"))
