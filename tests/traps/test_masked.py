"""Item 6 of the notes: the loss is over the mask's area; all ones are no mask, and all zeros are finite."""

import pytest
import torch
from diffusers import DDPMScheduler

from pipeline.training.data import MemoryExamples
from pipeline.training.denoising import Denoising
from pipeline.training.objective import Objective
from pipeline.training.painter import Painter
from pipeline.training.settings import TrainSettings

LOSSES = "pipeline.training.objective:Objective.losses"
MASK = "pipeline.training.denoising:Denoising._mask"
BATCH = "pipeline.training.data:MemoryExamples.batch"


def losses(tiny, masks, **chosen):
    draws = torch.Generator().manual_seed(1)
    moments = torch.randn(3, 8, 4, 4, generator=draws)
    text = torch.randn(3, 77, 4, generator=draws)
    examples = MemoryExamples(moments, text, torch.zeros(77, 4), scale=0.5, masks=masks)
    settings = TrainSettings(**{"masked_loss": True, "unmasked_weight": 0.0, **chosen})
    objective = Objective.chosen(DDPMScheduler(beta_schedule="scaled_linear"), settings)
    one = Denoising(Painter(tiny.unet()), examples, objective, settings)
    with torch.no_grad():
        return one.losses(examples.batch([0, 1, 2]), 0, torch.no_grad())


def halves():
    masks = torch.zeros(3, 4, 4)
    masks[0, :, :2], masks[1, 0, 0], masks[2] = 1.0, 0.5, 1.0
    return masks


def a_mask_of_ones_is_no_mask(tiny):
    plain = losses(tiny, ())
    assert torch.allclose(losses(tiny, torch.ones(3, 4, 4)), plain, rtol=1e-6)
    assert torch.equal(losses(tiny, halves(), masked_loss=False), plain)
    assert torch.allclose(losses(tiny, halves(), unmasked_weight=1.0), plain, rtol=1e-6)


def a_mask_of_zeros_is_finite(tiny):
    found = losses(tiny, torch.zeros(3, 4, 4))
    assert torch.equal(found, torch.zeros(3))
    assert losses(tiny, torch.zeros(3, 4, 4), unmasked_weight=0.1).isfinite().all()
    # what nothing but the floor counts for is the plain mean
    assert torch.allclose(losses(tiny, torch.zeros(3, 4, 4), unmasked_weight=0.1), losses(tiny, ()), rtol=1e-5)


def two_halves_make_the_whole(tiny):
    """The mean over a half times its share of the area, and that of the other half, are the mean over all."""
    masks = halves()
    masks[2, :3] = 0
    whole, one, other = losses(tiny, ()), losses(tiny, masks), losses(tiny, 1 - masks)
    share = masks.flatten(1).mean(dim=1)
    assert torch.allclose(share * one + (1 - share) * other, whole, rtol=1e-5)
    assert (one - whole).abs().min() > 1e-4
    # a mask of half the strength is the same mask
    assert torch.allclose(losses(tiny, masks / 2), one, rtol=1e-5)


def the_rest_counts_as_much_as_was_said(tiny):
    masks = halves()
    floored = masks.clamp(min=0.25)
    assert torch.allclose(losses(tiny, masks, unmasked_weight=0.25), losses(tiny, floored), rtol=1e-6)
    assert (losses(tiny, masks, unmasked_weight=0.25)[:2] - losses(tiny, masks)[:2]).abs().min() > 1e-4


def an_error_counts_where_it_is(_tiny):
    left = torch.zeros(4, 6)
    left[:, :2] = 1.0
    examples = MemoryExamples(
        torch.zeros(2, 8, 4, 6), torch.zeros(2, 77, 4), torch.zeros(77, 4), scale=1, masks=[left, 1 - left]
    )
    noise, wrong = torch.randn(2, 4, 4, 6), 2 * left
    one = Objective.of(DDPMScheduler())
    found = one.losses(noise + wrong, noise, noise, torch.tensor([9, 9]), mask=examples.batch([0, 1]).mask)
    assert found.tolist() == pytest.approx([4.0, 0.0], abs=1e-5)
    found = one.losses(noise + wrong, noise, noise, torch.tensor([9, 9]))
    assert found.tolist() == pytest.approx([4 / 3, 4 / 3], abs=1e-5)


TRAPS = {
    an_error_counts_where_it_is: {
        "turned about": (BATCH, "self.masks[row] for", "self.masks[row].T.reshape(4, 6) for"),
        "mirrored": (BATCH, "self.masks[row] for", "self.masks[row].flip(1) for"),
    },
    a_mask_of_ones_is_no_mask: {
        "heard where it should not be": (MASK, "not self.settings.masked_loss", "False"),
        "summed and not averaged": (LOSSES, ".sum(dim=1) / area", ".sum(dim=1)"),
        "channels summed": (LOSSES, "cost.mean(dim=1, keepdim=True)", "cost.sum(dim=1, keepdim=True)"),
    },
    a_mask_of_zeros_is_finite: {
        "0 / 0": (LOSSES, ".clamp(min=LEAST_AREA)", ""),
        "no floor": (MASK, ".clamp(min=self.settings.unmasked_weight)", ""),
    },
    two_halves_make_the_whole: {
        "divided by all cells": (LOSSES, "/ area", "/ mask[0].numel()"),
        "the mask is not heard": (LOSSES, "if mask is None:", "if True:"),
        "another's mask": (BATCH, "self.masks[row] for", "self.masks[row - 1] for"),
        "the whole batch's area": (LOSSES, "mask.flatten(1).sum(dim=1)", "mask.flatten(1).sum(dim=1).mean()"),
    },
    the_rest_counts_as_much_as_was_said: {
        "no floor": (MASK, ".clamp(min=self.settings.unmasked_weight)", ""),
        "added": (MASK, ".clamp(min=self.settings.unmasked_weight)", " + self.settings.unmasked_weight"),
    },
}


def test_it_holds(check, tiny):
    check(tiny)


def test_a_planted_bug_is_found(check, bug, tiny, plant):
    with plant(*bug), pytest.raises(AssertionError):
        check(tiny)
