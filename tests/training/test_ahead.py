import threading
from dataclasses import dataclass, field

import pytest

from pipeline.errors import GessoError
from pipeline.training.ahead import Ahead, nothing
from pipeline.training.data import Turns
from pipeline.training.settings import TrainSettings

SETTINGS = TrainSettings(steps=6, batch_size=2, gradient_accumulation=2, seed=3)
TURNS = 12


@dataclass
class Named:
    ids: tuple
    rows: tuple


@dataclass
class Rows:
    """Seven rows, read by whoever asks; it remembers in which order, and by which threads."""

    digest: str = "rows"
    sizes: list = field(default_factory=lambda: [(1, 1)] * 7)
    repeats: list = field(default_factory=lambda: [1] * 7)
    read: list = field(default_factory=list)
    threads: set = field(default_factory=set)
    bad: tuple = ()

    def batch(self, rows):
        self.read.append(tuple(rows))
        self.threads.add(threading.current_thread())
        if set(rows) & set(self.bad):
            raise GessoError(f"row {rows} cannot be read")
        return Named(tuple(map(str, rows)), tuple(rows))


def wanted():
    turns = Turns(Rows(), batch_size=2, seed=3)
    return [tuple(turns.rows(turn)) for turn in range(TURNS)]


def test_turns_come_in_order_each_read_once_and_none_after_the_last():
    rows = Rows()
    with Ahead(rows, SETTINGS, lambda batch, turn: (turn, batch.rows), beside=True) as ahead:
        found = [ahead.get(turn) for turn in range(TURNS)]
    assert [batch.rows for batch, _ in found] == wanted() == rows.read
    assert [drawn for _, drawn in found] == list(enumerate(wanted()))
    assert rows.threads.isdisjoint({threading.current_thread()})
    assert len(rows.threads) == 1
    assert not any(thread.is_alive() for thread in rows.threads)


def test_the_next_turn_is_read_while_nobody_asks():
    rows, there = Rows(), threading.Event()

    def draw(_batch, turn):
        if turn == 5:
            there.set()

    with Ahead(rows, SETTINGS, draw, beside=True) as ahead:
        ahead.get(4)
        assert there.wait(20)
        assert rows.read == wanted()[4:6]
        ahead.get(5)


@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize("asked", [[3, 3, 4], [7, 2, 9], [11, 0]])
def test_a_turn_asked_for_again_or_out_of_order_is_the_same(asked, beside):
    with Ahead(Rows(), SETTINGS, lambda batch, turn: (turn, batch.rows), beside=beside) as ahead:
        for turn in asked:
            batch, drawn = ahead.get(turn)
            assert drawn == (turn, batch.rows)
            assert batch.rows == wanted()[turn]


@pytest.mark.parametrize("beside", [True, False])
def test_what_cannot_be_read_is_told_when_its_turn_comes(beside):
    first = wanted()[0]
    bad = next(row for row in range(7) if row not in first)
    with Ahead(Rows(bad=(bad,)), SETTINGS, beside=beside) as ahead:
        at = next(turn for turn, rows in enumerate(wanted()) if bad in rows)
        for turn in range(at):
            assert ahead.get(turn)[1] is None
        with pytest.raises(GessoError, match="cannot be read"):
            ahead.get(at)


def test_leaving_ends_the_thread_though_a_turn_was_ahead():
    rows = Rows()
    with Ahead(rows, SETTINGS, nothing, beside=True) as ahead:
        ahead.get(0)
    assert rows.threads
    assert not any(thread.is_alive() for thread in rows.threads)


def test_on_a_cpu_a_turn_is_read_when_it_is_asked_for():
    rows = Rows()
    with Ahead(rows, SETTINGS, beside=False) as ahead:
        for turn in range(3):
            ahead.get(turn)
            assert rows.read == wanted()[: turn + 1]
    assert rows.threads == {threading.current_thread()}
