import pyarrow.parquet as pq
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pipeline.training.boards import Seen
from pipeline.training.record import SCHEMA, Record
from pipeline.training.settings import TrainSettings


def of(steps):
    return TrainSettings(steps=steps)


def test_rows_reach_parquet_and_tensorboard(tmp_path):
    with Record(tmp_path, of(3), done=0) as one:
        for step in (1, 2, 3):
            one.add(step, loss=1 / step, learning_rate=0.1)
        one.save()
    table = pq.read_table(tmp_path / "metrics.parquet")
    assert table.schema.equals(SCHEMA)
    assert table.to_pylist()[2] == {"step": 2, "name": "train/loss", "value": 0.5}
    assert one.losses() == (1.0, 0.5, 1 / 3)
    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    events = board.Scalars("train/loss")
    assert [event.step for event in events] == [1, 2, 3]
    assert [event.value for event in events] == pytest.approx([1.0, 0.5, 1 / 3])


def test_a_resumed_record_keeps_what_was_done_and_forgets_what_is_done_again(tmp_path):
    with Record(tmp_path, of(4), done=0) as first:
        for step in (1, 2, 3):
            first.add(step, loss=float(step))
        first.save()
    with Record(tmp_path, of(4), done=2) as second:
        assert second.losses() == (1.0, 2.0)
        second.add(3, loss=30.0)
        second.add(4, loss=40.0)
        second.save()
    values = pq.read_table(tmp_path / "metrics.parquet")["value"].to_pylist()
    assert values == [1.0, 2.0, 30.0, 40.0]
    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.value for event in board.Scalars("train/loss")] == values


def test_every_step_is_told_with_its_loss(tmp_path):
    told = []
    with Record(tmp_path, of(12), done=10, progress=lambda *one: told.append(one)) as one:
        one.add(11, loss=0.25, grad_norm=3.0)
        one.add(12, loss=0.125)
    assert told == [(10, 12, ""), (11, 12, "loss 0.25"), (12, 12, "loss 0.125")]


def test_an_empty_record_can_be_saved(tmp_path):
    with Record(tmp_path, of(1), done=0) as one:
        one.save()
    assert pq.read_table(tmp_path / "metrics.parquet").num_rows == 0


def test_what_an_evaluation_saw_is_on_the_boards_alone(tmp_path):
    with Record(tmp_path, of(1), done=0) as one:
        one.seen(0, Seen({"evaluation/drift": 2.0}))
        one.seen(1, None)
        one.add(1, loss=0.5)
        one.save()
    assert pq.read_table(tmp_path / "metrics.parquet")["name"].to_pylist() == ["train/loss"]
    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(event.step, event.value) for event in board.Scalars("evaluation/drift")] == [(0, 2.0)]
