import pytest
import torch
from diffusers import UNet2DConditionModel

from pipeline.training.data import MemoryExamples


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
