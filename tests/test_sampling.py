import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, DDPMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from pipeline.sampling import sample


@pytest.fixture(scope="module", params=[DDIMScheduler, DDPMScheduler])
def pipeline(request):
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
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        norm_num_groups=4,
        latent_channels=4,
    )
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=16,
        attention_head_dim=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )
    made = StableDiffusionPipeline(
        vae=vae,
        text_encoder=CLIPTextModel(text),
        tokenizer=tokenizer,
        unet=unet,
        scheduler=request.param(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    made.set_progress_bar_config(disable=True)
    return made


def near(left, right):
    # a batch of another size may round otherwise
    return np.abs(left.astype(int) - right.astype(int)).max() <= 1


def test_the_same_seed_gives_the_same_picture_in_any_company(pipeline):
    pairs = [("a", seed) for seed in range(9)] + [("b", 0)]
    together = sample(pipeline, pairs, steps=2, size=32)
    torch.manual_seed(5)
    assert all(
        np.array_equal(one, two) for one, two in zip(together, sample(pipeline, pairs, steps=2, size=32), strict=True)
    )
    (alone,) = sample(pipeline, [("a", 8)], steps=2, size=32)
    assert near(alone, together[8])
    assert not near(together[0], together[1])
    assert alone.shape == (32, 32, 3)
    assert alone.dtype == np.uint8


def test_prompt_and_negative_prompt_reach_the_picture(pipeline):
    (one,) = sample(pipeline, [("a a", 0)], steps=2, size=32, guidance=30.0)
    (two,) = sample(pipeline, [("b c", 0)], steps=2, size=32, guidance=30.0)
    (three,) = sample(pipeline, [("a a", 0)], steps=2, size=32, guidance=30.0, negative_prompt="c b")
    assert not np.array_equal(one, two)
    assert not np.array_equal(one, three)


def test_rescaled_guidance_has_less_contrast(pipeline):
    def latent_spread(**how):
        seen = []
        pipeline.scheduler.register_to_config(prediction_type="epsilon")
        real, step = (
            pipeline.scheduler.step,
            lambda answer, *rest, **more: seen.append(answer) or real(answer, *rest, **more),
        )
        pipeline.scheduler.step = step
        try:
            sample(pipeline, [("a a", 0)], steps=1, size=32, guidance=30.0, **how)
        finally:
            pipeline.scheduler.step = real
        return float(seen[0].std())

    whole, none = latent_spread(guidance_rescale=1.0), latent_spread()
    assert whole < none
    assert whole < latent_spread(guidance_rescale=0.5) < none


def test_without_a_size_it_is_the_models_own(pipeline):
    (made,) = sample(pipeline, [("a", 0)], steps=1)
    assert made.shape == (32, 32, 3)


def test_no_pairs_no_pictures(pipeline):
    assert sample(pipeline, []) == []


def test_where_memory_holds_fewer_pictures_fewer_are_painted_at_a_time(pipeline, monkeypatch):
    heard, done, held = [], [], type(pipeline).__call__

    def little(self, prompts, **told):
        if len(prompts) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")
        return held(self, prompts, **told)

    pairs = [("a b", seed) for seed in range(5)]
    whole = sample(pipeline, pairs, steps=2, size=32)
    monkeypatch.setattr(type(pipeline), "__call__", little)
    parts = sample(pipeline, pairs, steps=2, size=32, say=heard.append, progress=lambda made, of: done.append(made))
    assert len(parts) == 5
    assert all(near(one, other) for one, other in zip(whole, parts, strict=True))
    assert done == [0, 2, 4, 5]
    assert len(heard) == 1
    assert "from now on 2 pictures at a time instead of 5" in heard[0]


def test_large_pictures_are_decoded_one_by_one(pipeline):
    pipeline.vae.disable_slicing()
    sample(pipeline, [("a", 1)], steps=1, size=32)
    assert not pipeline.vae.use_slicing
    sample(pipeline, [("a", 1)], steps=1, size=512)
    assert pipeline.vae.use_slicing
    pipeline.vae.disable_slicing()
