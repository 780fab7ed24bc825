import pytest
import torch

from pipeline.training.later import Later, moved


def test_numbers_are_what_they_were_whatever_comes_after():
    values = torch.tensor([1.5, float("nan"), -2.0], requires_grad=True)
    one, other = Later(values * 1), Later(torch.tensor(3.25))
    assert one.read()[::2] == [1.5, -2.0]
    assert one.read()[1] != one.read()[1]
    assert other.read() == [3.25]


def test_on_a_cpu_nothing_is_copied():
    values = torch.ones(3)
    assert moved(values, torch.device("cpu")) is values


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")
def test_a_gpu_is_not_waited_for():
    big = torch.randn(4096, 4096, device="cuda")
    there = torch.cuda.Event()
    early = Later(big[0, :3])
    wanted = big[0, :3].tolist()
    for _ in range(200):
        big = big @ big / 4096
    sent = moved(torch.arange(1 << 20), torch.device("cuda"))
    there.record()
    assert early.read() == wanted
    assert not there.query()  # the products are still under way
    assert int(sent.sum()) == sum(range(1 << 20))
