import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import (
    BlipConfig,
    BlipForConditionalGeneration,
    BlipTextConfig,
    BlipVisionConfig,
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    CLIPVisionConfig,
)

from pipeline import imaging, models
from pipeline.settings import Buckets
from pipeline.stage import Tools
from pipeline.starter.pictures import picture
from pipeline.training.data import MemoryExamples
from pipeline.trainset.pixels import PixelExamples
from pipeline.workspace import Workspace


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def tiny_unet():
    def build(seed=0):
        torch.manual_seed(seed)
        return UNet2DConditionModel(
            sample_size=8,
            in_channels=4,
            out_channels=4,
            block_out_channels=(8, 16),
            layers_per_block=1,
            norm_num_groups=4,
            cross_attention_dim=16,
            attention_head_dim=4,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        )

    return build


@pytest.fixture
def examples():
    draws = torch.Generator().manual_seed(1)
    moments = torch.randn(5, 8, 8, 8, generator=draws)
    return MemoryExamples(moments, torch.randn(5, 77, 16, generator=draws), torch.zeros(77, 16), scale=0.5)


@pytest.fixture
def pixels(tmp_path):
    """Six drawn pictures of 32 px in a workspace, each with its caption; two of them have the same."""
    tools = Tools(Workspace.create(tmp_path / "workspace"), workers=1)
    rows = []
    for seed in range(6):
        drawn = picture(seed, side=32)
        data = imaging.encode_png(drawn.pixels)
        rows.append(
            {
                "sample_id": tools.workspace.keep_original(data),
                "pixel_id": imaging.decode(data).pixel_id,
                "view": 0,
                "transforms": "[]",
                "caption": "the same" if seed in (2, 3) else drawn.caption,
                "repeats": 1,
            }
        )
    return PixelExamples(rows, Buckets(resolution=32, step=32, max_aspect=1.0), tools, digest="d")


@pytest.fixture
def tiny_vae():
    def build(seed=0):
        torch.manual_seed(seed)
        return AutoencoderKL(
            block_out_channels=(4, 4),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            norm_num_groups=2,
            latent_channels=4,
        )

    return build


@pytest.fixture(scope="session")
def clip_processor():
    return models.load_processor("clip", models.locate("starter", part="clip"))


@pytest.fixture(scope="session")
def blip_processor():
    return models.load_processor("blip", models.locate("starter", part="blip"))


@pytest.fixture
def tiny_clip(clip_processor):
    def build(seed=0):
        torch.manual_seed(seed)
        shared = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2, "num_hidden_layers": 1}
        words = clip_processor.tokenizer
        text = CLIPTextConfig(
            vocab_size=len(words), bos_token_id=words.bos_token_id, eos_token_id=words.eos_token_id, **shared
        )
        vision = CLIPVisionConfig(image_size=64, patch_size=16, **shared)
        return CLIPModel(CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=8))

    return build


@pytest.fixture
def tiny_blip(blip_processor):
    def build(seed=0):
        torch.manual_seed(seed)
        shared = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2, "num_hidden_layers": 1}
        words = blip_processor.tokenizer
        text = BlipTextConfig(
            vocab_size=len(words),
            encoder_hidden_size=16,
            bos_token_id=words.convert_tokens_to_ids("[DEC]"),
            sep_token_id=words.sep_token_id,
            pad_token_id=words.pad_token_id,
            **shared,
        )
        vision = BlipVisionConfig(image_size=64, patch_size=16, initializer_range=0.02, **shared)
        config = BlipConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=16)
        return BlipForConditionalGeneration(config)

    return build
