import pytest
import torch

from pipeline.errors import RecipeError
from pipeline.training.session import session
from pipeline.training.settings import TrainSettings

CPU = torch.device("cpu")


def test_precisions_follow_each_other_in_one_process():
    for precision in ("no", "bf16", "no"):
        with session(TrainSettings(mixed_precision=precision), device=CPU) as accelerator:
            assert accelerator.mixed_precision == precision
            assert accelerator.device == CPU


def test_the_seed_rules_within_and_the_callers_stream_after():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    drawn = []
    for _ in range(2):
        with session(TrainSettings(seed=3), device=CPU):
            drawn.append(torch.rand(2))
    assert torch.equal(*drawn)
    assert torch.equal(before, torch.get_rng_state())


def test_fp16_on_a_cpu_is_the_recipes_fault():
    with (
        pytest.raises(RecipeError, match=r"train\.mixed_precision.*fp16"),
        session(TrainSettings(mixed_precision="fp16"), device=CPU),
    ):
        pass
