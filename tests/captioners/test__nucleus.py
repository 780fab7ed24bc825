from collections import Counter

import pytest
import torch

from pipeline.captioners._nucleus import Nucleus

CHANCES = torch.tensor([0.05, 0.4, 0.25, 0.2, 0.1])
BEGUN = torch.zeros(1, 1, dtype=torch.long)


def draw(share, seeds, steps=1):
    nucleus = Nucleus(share, seeds)
    scores = CHANCES.log().expand(len(seeds), -1)
    steps = [nucleus(BEGUN, scores) for _ in range(steps)]
    for left in steps:
        assert (left > -torch.inf).sum(dim=-1).tolist() == [1] * len(seeds)
    return nucleus, torch.stack([left.argmax(dim=-1) for left in steps], dim=-1)


@pytest.mark.parametrize(("share", "inside"), [(0.3, {1}), (0.4, {1}), (0.5, {1, 2}), (0.9, {1, 2, 3, 4}), (1.0, None)])
def test_words_come_as_often_as_their_chance_in_the_smallest_set_that_reaches_the_share(share, inside):
    inside = inside or set(range(5))
    seeds = [str(number) for number in range(4000)]
    _, words = draw(share, seeds)
    seen = Counter(words[:, 0].tolist())
    if share == 0.9:  # 0.85 of the first three is less, so that the fourth is in it
        inside = {1, 2, 3, 4}
    assert set(seen) == inside
    whole = sum(CHANCES[word] for word in inside)
    for word in inside:
        chance = float(CHANCES[word] / whole)
        # four standard deviations of a share that is drawn 4,000 times
        assert abs(seen[word] / 4000 - chance) < 4 * (chance * (1 - chance) / 4000) ** 0.5 + 1e-9


def test_a_row_draws_the_same_whatever_rows_are_beside_it():
    seeds = [str(number) for number in range(20)]
    _, together = draw(0.95, seeds, steps=6)
    for place in (0, 7, 19):
        _, alone = draw(0.95, [seeds[place]], steps=6)
        assert alone.tolist() == together[place : place + 1].tolist()
    assert len({tuple(row) for row in together.tolist()}) > 10


def test_likelihoods_are_the_mean_log_chance_of_the_words_that_count():
    nucleus, words = draw(0.9, ["a", "b"], steps=3)
    told = CHANCES.double().log()[words]
    found = nucleus.likelihoods([3, 1])
    assert found == pytest.approx([float(told[0].mean()), float(told[1, 0])], abs=1e-6)
    assert nucleus.likelihoods([0, 0]) == [0.0, 0.0]
