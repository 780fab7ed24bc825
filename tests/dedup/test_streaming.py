import threading
import time

import pytest

from pipeline.dedup import streaming
from pipeline.dedup.streaming import streamed


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_all_results_of_all_tasks_come(threads):
    def work(task, tell):
        for one in range(task):
            tell((task, one))

    assert sorted(streamed(work, range(30), threads=threads)) == [
        (task, one) for task in range(30) for one in range(task)
    ]
    assert list(streamed(work, [], threads=threads)) == []


def test_work_waits_for_whoever_takes_its_results():
    made = []

    def work(task, tell):
        for one in range(100):
            made.append(one)
            tell(one)

    results = streamed(work, [0], threads=2)
    next(results)
    time.sleep(0.1)
    assert len(made) <= streaming.HELD + 3
    assert len(list(results)) == 99


def test_work_ends_when_nobody_takes_its_results():
    before = threading.active_count()

    def work(task, tell):
        while True:
            tell(task)

    results = streamed(work, range(10), threads=2)
    assert next(results) in range(10)
    results.close()
    assert threading.active_count() == before


def test_an_error_of_a_task_comes_out():
    def work(task, tell):
        tell(task)
        if task == 3:
            raise ValueError("three")

    with pytest.raises(ValueError, match="three"):
        list(streamed(work, range(8), threads=2))
