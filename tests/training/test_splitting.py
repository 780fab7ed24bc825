"""A step whose batches are taken in parts is the step of whole batches: losses, gradients, and what a training ends in.

The model cannot hold more than so many examples: it raises torch's own error there.
"""

from types import SimpleNamespace

import pytest
import torch
from diffusers import DDPMScheduler

from pipeline.errors import GessoError
from pipeline.methods import full
from pipeline.training.data import MemoryExamples
from pipeline.training.denoising import Denoising
from pipeline.training.gradients import Gradients
from pipeline.training.job import Job
from pipeline.training.objective import Objective
from pipeline.training.painter import Painter
from pipeline.training.session import session
from pipeline.training.settings import TrainSettings

CPU = torch.device("cpu")


class Small(torch.nn.Module):
    """Answers like a UNet, for at most `room` examples; a late failure comes after a part of the backward pass."""

    def __init__(self, room=99, *, late=False):
        super().__init__()
        self.device, self.room, self.late, self.sizes = CPU, room, late, []
        torch.manual_seed(3)
        self.first, self.last = torch.nn.Conv2d(4, 4, 3, padding=1), torch.nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, noisy, timesteps, encoder_hidden_states):
        self.sizes.append(len(noisy))
        over = len(noisy) > self.room
        if over and not self.late:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nmore")
        inner = torch.tanh(self.first(noisy)) * (1 + timesteps[:, None, None, None] / 1000)
        if over and inner.requires_grad:
            inner.register_hook(self.fail)
        return SimpleNamespace(sample=self.last(inner) + encoder_hidden_states.mean(dim=(1, 2))[:, None, None, None])

    def fail(self, _):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")


def made(count, *, seed, prior=None):
    draws = torch.Generator().manual_seed(seed)
    moments = [torch.randn(8, 4, 4 + row % 2, generator=draws) for row in range(count)]
    text = torch.randn(count, 77, 2, generator=draws)
    return MemoryExamples(moments, text, torch.zeros(77, 2), scale=0.5, prior=prior)


def step(unet, folder, *, prior=False, say=None, number=1):
    settings = TrainSettings(batch_size=5, gradient_accumulation=2, caption_dropout=0.3, noise_offset=0.1)
    examples = made(9, seed=1, prior=made(7, seed=2) if prior else None)
    with session(settings, device=CPU) as accelerator:
        objective = Objective.of(DDPMScheduler(), gamma=5.0)
        gradients = Gradients(
            accelerator,
            examples,
            Denoising(Painter(unet), examples, objective, settings).losses,
            settings,
            folder,
            job=Job(folder, say=say or (lambda _: None)),
            splits=True,
            parameters=list(unet.parameters()),
        )
        loss = gradients.loss(gradients.fitting(number))
        found = [one.grad.clone() for one in unet.parameters()]
        if unet.room < 99:
            unet.sizes.clear()
            gradients.loss(gradients.fitting(number + 1))
    return loss, found, gradients


@pytest.mark.parametrize("prior", [False, True])
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("room", [1, 2, 3, 4])
def test_what_does_not_fit_is_taken_in_parts_with_the_same_loss_and_gradient(tmp_path, room, late, prior):
    loss, wanted, _ = step(Small(), tmp_path, prior=prior)
    said = []
    small = Small(room, late=late)
    split, found, gradients = step(small, tmp_path, prior=prior, say=said.append)
    assert split == pytest.approx(loss, rel=1e-6)
    for one, other in zip(found, wanted, strict=True):
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-7)
    assert gradients.most <= room
    assert said
    assert all(line.endswith("a step still sees 10") for line in said)
    assert max(small.sizes) <= room
    assert len(said) == len({*said})


def test_a_single_example_that_does_not_fit_ends_the_training(tmp_path):
    with pytest.raises(GessoError, match=r"not even one example in step 2 \(CUDA out of memory. Tried to .*GiB\.\)"):
        step(Small(0), tmp_path)


def test_another_error_is_none_of_memory(tmp_path):
    unet = Small()
    unet.register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(RuntimeError("shapes differ")))
    with pytest.raises(RuntimeError, match="shapes differ"):
        step(unet, tmp_path)


def test_a_real_training_ends_in_the_same_weights(tmp_path):
    from tests.traps.conftest import seven_examples, tiny_unet

    ended = []
    for room in (99, 1):
        unet = tiny_unet()
        unet.register_forward_pre_hook(lambda _, given, room=room: refuse(given, room))
        settings = TrainSettings(method="full", steps=4, batch_size=2, gradient_accumulation=2, optimizer="sgd")
        full.train(Painter(unet), seven_examples(), DDPMScheduler(), settings, Job(tmp_path / str(room)))
        ended.append(unet.state_dict())
    assert all(torch.allclose(ended[0][name], ended[1][name], rtol=1e-4, atol=1e-6) for name in ended[0])


def refuse(given, room):
    if len(given[0]) > room:
        raise torch.OutOfMemoryError("CUDA out of memory.")
