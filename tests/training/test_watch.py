import math
import random

import pytest

from pipeline.training.watch import HIGH, LEAST, Watch


def told(losses, factor=20.0):
    """The numbers of the losses (from 1) at which it has exploded."""
    watch, found = Watch((), factor=factor), []
    for number, loss in enumerate(losses, 1):
        watch.add(loss)
        if watch.exploded():
            found.append(number)
    return found


def test_losses_far_above_the_usual_one_are_an_explosion_from_the_fifth_in_a_row():
    assert told([0.1] * LEAST + [2.1] * HIGH) == [LEAST + HIGH]
    assert told([0.1] * 200 + [2.1] * HIGH) == [200 + HIGH]


def test_one_hard_step_is_none_and_a_rise_that_stays_below_the_factor_is_none():
    assert told([0.1] * 20 + ([50.0] * (HIGH - 1) + [0.1]) * 5) == []
    assert told([0.1] * 20 + [1.9] * 300) == []
    assert told([0.1] * (LEAST - 1) + [2.1] * HIGH) == []


def test_it_can_be_turned_off():
    assert told([0.1] * 20 + [1e9] * 20, factor=None) == []


def test_a_life_later_it_judges_the_same():
    losses = [0.1] * 20 + [3.0] * HIGH
    for done in range(len(losses)):
        watch = Watch(losses[:done], factor=20.0)
        for loss in losses[done:]:
            watch.add(loss)
        assert watch.exploded() == (3.0, 0.1)


@pytest.mark.parametrize("batch", [1, 4])
def test_losses_that_vary_as_those_of_noise_do_are_none(batch):
    """Falling from 0.9 near no noise to 0.003 near noise alone, timesteps drawn uniformly, as eps-losses of SD do."""
    draws = random.Random(0)  # noqa: S311 (no secret)
    each = [sum(0.9 * math.exp(-5.7 * draws.random()) for _ in range(batch)) / batch for _ in range(20_000)]
    assert told(each) == []
