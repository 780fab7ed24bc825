"""A loss that explodes ends the training with the last good checkpoint and the pictures; one hard step does not."""

import pytest
import torch

from pipeline.errors import GessoError
from pipeline.training import checkpoints, loop
from pipeline.training.job import Job
from pipeline.training.settings import TrainSettings
from pipeline.training.watch import HIGH, LEAST
from tests.training.test_loop import One, Points, lesson_of
from tests.training.test_watch import told

EXPLODED = "pipeline.training.watch:Watch.exploded"
TAKE = "pipeline.training.numbers:Numbers._take"
SAID = "pipeline.training.numbers:Numbers._exploded"


def an_explosion_is_five_high_losses_in_a_row(folder):
    assert told([0.1] * LEAST + [2.1] * HIGH) == [LEAST + HIGH]
    assert told([0.1] * 200 + [2.1] * HIGH) == [200 + HIGH]
    assert told([0.1] * 20 + ([50.0] * (HIGH - 1) + [0.1]) * 5) == []
    assert told([0.1] * 20 + [1.9] * 300) == []
    assert told([100.0, 0.1, 100.0, *[0.1] * 20] + [2.1] * HIGH) == [23 + HIGH]
    assert told([1e9] * LEAST + [1e9] * HIGH) == []


def it_ends_with_the_last_good_checkpoint_and_names(folder):
    model = One()

    def losses(batch, turn, autocast):
        with autocast:
            return (100.0 if turn >= 23 else 1.0) * (model.value * 0 + 1).expand(len(batch.rows))

    settings = TrainSettings(steps=40, batch_size=5, checkpoint_every=2, keep_checkpoints=4)
    said = ""
    try:
        loop.run(lesson_of(model, losses=losses), Points(), settings, Job(folder), device=torch.device("cpu"))
    except GessoError as error:
        said = str(error)
    assert "in each of the steps 24 to 28 it was 100 or more, where 1 was usual" in said
    assert all(f"step {number}: row-" in said for number in range(24, 29))
    assert "step 23:" not in said
    assert "step-0000022." in said
    assert checkpoints.latest(folder).step == 22


TRAPS = {
    an_explosion_is_five_high_losses_in_a_row: {
        "one high loss is enough": (EXPLODED, "min(losses[-HIGH:])", "max(losses[-HIGH:])"),
        "the usual one is the mean": (EXPLODED, "median(losses[:-HIGH])", "sum(losses[:-HIGH]) / len(losses[:-HIGH])"),
        "the usual one is the first": (EXPLODED, "median(losses[:-HIGH])", "losses[0]"),
        "the factor is a difference": (EXPLODED, "self._factor * usual", "self._factor + usual"),
        "it waits for ever": (EXPLODED, "least > self._factor", "least < 0 * self._factor"),
    },
    it_ends_with_the_last_good_checkpoint_and_names: {
        "checkpoints of the explosion stay": (TAKE, "after=taken.step + 1 - HIGH", "after=taken.step + 1"),
        "good checkpoints go, too": (TAKE, "after=taken.step + 1 - HIGH", "after=0"),
        "nobody looks": (TAKE, "self._watch.add(loss)", "pass"),
        "pictures of the last step alone": (
            SAID,
            "for at in range(first, step + 1)",
            "for at in range(step, step + 1)",
        ),
        "steps are counted from 0": (SAID, "step {at + 1}:", "step {at}:"),
    },
}


def test_it_holds(check, tmp_path):
    check(tmp_path)


def test_a_planted_bug_is_found(check, bug, tmp_path, plant):
    with plant(*bug), pytest.raises(AssertionError):
        check(tmp_path)
