import dataclasses
from collections import Counter
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.training.data import MemoryExamples, Turns, order

SIZES = st.sampled_from([(8, 8), (6, 10), (10, 6)])
ROWS = st.lists(st.tuples(SIZES, st.integers(0, 3)), min_size=1, max_size=30)


def split(rows):
    return [size for size, _ in rows], [times for _, times in rows]


@given(ROWS, st.integers(1, 7), st.integers(0, 2**40), st.integers(0, 5))
def test_an_epoch_has_every_row_as_often_as_asked_in_batches_of_one_size(rows, batch_size, seed, epoch):
    sizes, repeats = split(rows)
    batches = order(sizes, repeats, batch_size=batch_size, seed=seed, epoch=epoch)
    assert Counter(row for batch in batches for row in batch) == Counter(
        {row: times for row, times in enumerate(repeats) if times}
    )
    assert all(1 <= len(batch) <= batch_size for batch in batches)
    assert all(len({sizes[row] for row in batch}) == 1 for batch in batches)
    short = Counter(sizes[batch[0]] for batch in batches if len(batch) < batch_size)
    assert all(times == 1 for times in short.values())


@given(ROWS, st.integers(1, 7), st.integers(0, 100))
def test_epochs_have_the_same_length_and_repeat_themselves(rows, batch_size, seed):
    sizes, repeats = split(rows)
    epochs = [order(sizes, repeats, batch_size=batch_size, seed=seed, epoch=epoch) for epoch in range(3)]
    assert all(len(one) == len(two) for one, two in pairwise(epochs))
    assert epochs[1] == order(sizes, repeats, batch_size=batch_size, seed=seed, epoch=1)


def test_epochs_and_seeds_shuffle():
    sizes, repeats = [(8, 8)] * 50, [1] * 50
    seen = {str(order(sizes, repeats, batch_size=4, seed=seed, epoch=epoch)) for seed in range(3) for epoch in range(3)}
    assert len(seen) == 9


@pytest.fixture
def examples():
    draws = torch.Generator().manual_seed(0)
    moments = [torch.randn(8, 4 + row % 2, 6, generator=draws) for row in range(5)]
    return MemoryExamples(
        moments,
        torch.randn(2, 77, 3, generator=draws).half(),
        torch.zeros(77, 3),
        scale=0.5,
        captions=[0, 1, 0, 1, 1],
        repeats=[1, 2, 1, 1, 3],
        ids=["a", "b", "c", "d", "e"],
    )


def test_turns_are_the_epochs_one_after_the_other_from_anywhere(examples):
    turns = Turns(examples, batch_size=2, seed=3)
    wanted = []
    for epoch in range(3):
        wanted += order(examples.sizes, examples.repeats, batch_size=2, seed=3, epoch=epoch)
    assert [turns.rows(turn) for turn in range(len(wanted))] == wanted
    backwards = Turns(examples, batch_size=2, seed=3)
    assert [backwards.rows(turn) for turn in reversed(range(len(wanted)))] == wanted[::-1]
    assert len(turns) * 3 == len(wanted)


def test_a_batch_keeps_pictures_with_their_captions_and_ids(examples):
    batch = examples.batch([4, 0, 2])
    assert batch.ids == ("e", "a", "c")
    assert batch.rows == (4, 0, 2)
    assert torch.equal(batch.moments, torch.stack([examples.moments[row] for row in (4, 0, 2)]))
    assert torch.equal(batch.text, examples.text[[1, 0, 0]].float())
    assert batch.text.dtype == batch.moments.dtype == torch.float32


def test_the_digest_follows_the_content(examples):
    def other(**changes):
        fields = ("moments", "text", "empty_text", "scale", "captions", "repeats", "ids")
        return MemoryExamples(**{**{name: getattr(examples, name) for name in fields}, **changes}).digest

    assert other() == examples.digest
    moved = [one.clone() for one in examples.moments]
    moved[3][0, 0, 0] += 1e-3
    changes = [
        {"moments": moved},
        {"text": examples.text.flip(0)},
        {"scale": 0.25},
        {"captions": [0, 1, 0, 1, 0]},
        {"repeats": [1] * 5},
        {"ids": ["a", "b", "c", "d", "f"]},
    ]
    assert len({examples.digest, *(other(**change) for change in changes)}) == len(changes) + 1


def test_lengths_that_do_not_fit_and_an_empty_set_are_refused(examples):
    with pytest.raises(ValueError, match=r"5 moments, but.*captions"):
        dataclasses.replace(examples, captions=[0])
    with pytest.raises(ValueError, match="without rows"):
        Turns(dataclasses.replace(examples, repeats=[0] * 5), batch_size=1, seed=0)
