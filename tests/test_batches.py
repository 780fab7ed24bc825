import threading

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.batches import Batches
from pipeline.errors import GessoError


class Memory:
    """Works on batches of at most `room` items, and remembers how large they were."""

    def __init__(self, room):
        self.room, self.sizes = room, []

    def work(self, batch):
        if len(batch) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nmore")
        self.sizes.append(len(batch))
        return [-one for one in batch]


@given(count=st.integers(0, 40), most=st.integers(1, 20), room=st.integers(1, 20))
def test_every_item_is_worked_on_once_in_order_whatever_memory_holds(count, most, room):
    memory, heard = Memory(room), []
    batches = Batches(most)
    made = batches.each(range(count), lambda one: one + 1, memory.work, say=heard.append)
    assert made == [-one - 1 for one in range(count)]
    assert sum(memory.sizes) == count
    assert bool(heard) == (min(most, count) > room)
    if heard:
        assert batches.most > room / 2 - 1
        assert all("memory ran out (CUDA out of memory. Tried to allocate 2 GiB.)" in text for text in heard)
    # what fitted once is tried at once the next time
    heard.clear()
    batches.each(range(count), lambda one: one, memory.work, say=heard.append)
    assert not heard


def test_a_single_item_that_does_not_fit_is_told():
    with pytest.raises(GessoError, match=r"not hold even one picture .CUDA out of memory"):
        Batches(4).each(range(3), lambda one: one, Memory(0).work, say=lambda text: None)


def test_other_troubles_are_not_taken_for_memory():
    def work(batch):
        raise RuntimeError("shapes differ")

    def prepare(item):
        raise ValueError("no picture")

    with pytest.raises(RuntimeError, match="shapes differ"):
        Batches(4).each(range(3), lambda one: one, work, say=lambda text: None)
    with pytest.raises(ValueError, match="no picture"):
        Batches(4).each(range(3), prepare, Memory(9).work, say=lambda text: None)


def test_items_are_made_ready_beside_the_work_and_not_far_ahead():
    ready, worked = [], []

    def prepare(item):
        assert threading.current_thread() is not threading.main_thread()
        assert item < len(worked) + 4 * 3 + 1
        ready.append(item)
        return item

    Batches(4).each(range(50), prepare, lambda batch: worked.extend(batch) or batch, say=lambda text: None)
    assert ready == worked == list(range(50))
