import torch

from pipeline.training.data import Batch, MemoryExamples
from pipeline.training.told import Told


def told(batch=2):
    text, pooled = torch.ones(batch, 77, 3), torch.full((batch, 5), 2.0)
    ids = torch.tensor([[1027.0, 683.0, 0.0, 5.0, 1024.0, 640.0]] * batch)
    return Told.of(Batch(torch.zeros(batch, 8, 2, 2), text, ("a",) * batch, (0,) * batch, pooled, ids))


def examples(**more):
    return MemoryExamples(torch.zeros(1, 8, 2, 2), torch.zeros(1, 77, 3), torch.full((77, 3), 7.0), scale=1.0, **more)


def test_a_unet_of_stable_diffusion_is_told_the_caption_alone():
    text = torch.ones(1, 77, 3)
    assert list(Told(text).arguments()) == ["encoder_hidden_states"]


def test_a_unet_of_sdxl_is_told_summary_and_sizes_too():
    arguments = told().arguments()
    assert set(arguments["added_cond_kwargs"]) == {"text_embeds", "time_ids"}
    assert arguments["added_cond_kwargs"]["text_embeds"].shape == (2, 5)


def test_a_dropped_caption_takes_its_summary_along_and_leaves_the_sizes():
    left = told().without(torch.tensor([True, False]), examples(empty_pooled=torch.full((5,), 9.0)))
    assert left.text[:, 0, 0].tolist() == [7.0, 1.0]
    assert left.pooled[:, 0].tolist() == [9.0, 2.0]
    assert torch.equal(left.time_ids, told().time_ids)


def test_sizes_keep_their_numbers_in_another_format():
    moved = told().to(torch.device("cpu"), torch.bfloat16)
    assert (moved.text.dtype, moved.pooled.dtype) == (torch.bfloat16, torch.bfloat16)
    assert moved.time_ids[0].tolist() == [1027.0, 683.0, 0.0, 5.0, 1024.0, 640.0]
