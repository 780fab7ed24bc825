"""A batch that memory does not hold is taken in parts: the step is that of the whole batch."""

import pytest
import torch

from tests.training.test_splitting import Small, step

ACCUMULATE = "pipeline.training.gradients:Gradients.launch"
HALVE = "pipeline.training.gradients:Gradients._halve"
OWN = "pipeline.training.denoising:Denoising._own"
PRIOR = "pipeline.training.denoising:_Prior.of_part"


def a_step_in_parts_is_the_step_of_the_whole(folder):
    for room, late, prior in ((2, True, False), (3, False, True), (1, True, True)):
        loss, wanted, _ = step(Small(), folder, prior=prior)
        said, small = [], Small(room, late=late)
        split, found, gradients = step(small, folder, prior=prior, say=said.append)
        assert split == pytest.approx(loss, rel=1e-6)
        assert all(torch.allclose(one, other, rtol=1e-5, atol=1e-7) for one, other in zip(found, wanted, strict=True))
        assert gradients.most <= room
        assert max(small.sizes) <= room  # of the step after: what did not fit is not tried again
        assert all(line.endswith("a step still sees 10") for line in said)


TRAPS = {
    a_step_in_parts_is_the_step_of_the_whole: {
        "what failed leaves its gradient": (HALVE, "one.grad = None", "pass"),
        "each part is a mean of its own": (ACCUMULATE, "losses.sum() / count", "losses.mean()"),
        "a part has the noise of the first": (
            OWN,
            "drawn.part(part.all)",
            "drawn.part(slice(0, part.stop - part.start))",
        ),
        "a part is of the first examples": (
            OWN,
            "batch.part(part.all)",
            "batch.part(slice(0, part.stop - part.start))",
        ),
        "class pictures weigh as often as there are parts": (
            PRIOR,
            "part.of / (len(batch.rows) * len(part))",
            "1 / len(part)",
        ),
        "a part's class picture is the first": (
            PRIOR,
            "part.among(len(batch.rows))",
            "part.among(1)",
        ),
        "the loss is the last part's": (ACCUMULATE, "torch.cat(passes)", "torch.cat(passes[-1:])"),
    },
}


def test_it_holds(check, tmp_path):
    check(tmp_path)


def test_a_planted_bug_is_found(check, bug, tmp_path, plant):
    with plant(*bug), pytest.raises(AssertionError):
        check(tmp_path)
