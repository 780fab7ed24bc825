import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.training.data import order
from pipeline.training.epochs import batches, counted
from pipeline.training.settings import TrainSettings

ROWS = st.lists(st.tuples(st.sampled_from([(8, 8), (8, 16), (16, 8)]), st.integers(0, 4)), max_size=20)


@given(ROWS, st.integers(1, 5), st.integers(0, 3))
def test_an_epoch_has_as_many_batches_as_the_order_makes(rows, batch_size, epoch):
    sizes, repeats = [size for size, _ in rows], [times for _, times in rows]
    wanted = order(sizes, repeats, batch_size=batch_size, seed=0, epoch=epoch)
    assert batches(sizes, repeats, batch_size=batch_size) == len(wanted)


@pytest.mark.parametrize(("epochs", "accumulation", "steps"), [(1, 1, 5), (3, 1, 15), (3, 2, 8), (2, 2, 5), (1, 9, 1)])
def test_the_last_step_ends_the_last_epoch(epochs, accumulation, steps):
    told = counted(TrainSettings(epochs=epochs, gradient_accumulation=accumulation), 5)
    assert (told.steps, told.epochs) == (steps, None)
    assert told == TrainSettings(steps=steps, gradient_accumulation=accumulation)


def test_steps_stay_what_they_are():
    settings = TrainSettings(steps=7)
    assert counted(settings, 5) is settings
