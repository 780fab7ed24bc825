import os
import signal
import sys
import threading

import pytest

from pipeline.lavis import client
from pipeline.lavis.client import Fallen, Refused, Worker

MODEL = {"folder": "x"}


def test_one_process_answers_all_and_its_folder_goes_with_it(worker):
    for _ in range(3):
        worker.load(MODEL, seconds=60)
        assert worker.ask({"do": "caption", "pictures": []}, seconds=60)["captions"] == []
    assert worker.started == 1
    pid, folder = worker.pid, worker.folder
    worker.close()
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_an_error_is_refused_and_the_worker_is_well(worker):
    with pytest.raises(Refused, match="no such model"):
        worker.load({"refuses": True}, seconds=60)
    worker.load(MODEL, seconds=60)
    assert worker.started == 1


def test_how_it_ended_and_its_last_words_are_told(worker):
    with pytest.raises(Fallen, match="ended with 7, its last words: out of breath") as caught:
        worker.load({"dies": True}, seconds=60)
    assert caught.value.reason == "crashed"
    worker.load(MODEL, seconds=60)
    assert worker.started == 2


def test_killed_from_outside_while_it_works_it_is_told_and_the_next_one_serves(worker):
    worker.load(MODEL, seconds=60)
    killer = threading.Timer(0.1, os.kill, (worker.pid, signal.SIGKILL))
    os.kill(worker.pid, signal.SIGSTOP)  # it cannot answer before it is killed
    killer.start()
    with pytest.raises(Fallen, match="killed by SIGKILL"):
        worker.ask({"do": "caption", "pictures": []}, seconds=60)
    killer.join()
    worker.load(MODEL, seconds=60)
    assert worker.started == 2


def test_one_that_is_stuck_is_killed_in_time(worker):
    worker.load(MODEL, seconds=60)
    pid = worker.pid
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(Fallen, match=r"no answer within 0\.2 s") as caught:
        worker.load({"folder": "y"}, seconds=0.2)
    assert caught.value.reason == "timeout"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_late_answer_to_a_request_that_was_given_up_is_not_taken_for_the_next(worker):
    worker.load(MODEL, seconds=60)
    worker._process.stdin.write('{"id": 99, "do": "caption", "pictures": []}\n')
    assert worker.ask({"do": "load"}, seconds=60).keys() == {"id"}


@pytest.mark.parametrize("said", ["hello", "[1]", "3", ""])
def test_what_is_no_answer_ends_the_worker(tmp_path, said):
    (tmp_path / "babbler.py").write_text(f"print({said!r}, flush=True); import time; time.sleep(600)")
    babbler = Worker([sys.executable, "-I", str(tmp_path / "babbler.py")])
    client_patience, client.LAST_SECONDS = client.LAST_SECONDS, 0.0
    try:
        with pytest.raises(Fallen):
            babbler.load(MODEL, seconds=60)
    finally:
        client.LAST_SECONDS = client_patience
        babbler.close()
    assert babbler.pid is None


def test_without_its_parent_a_worker_ends(tmp_path, worker):
    worker.load(MODEL, seconds=60)
    process = worker._process
    process.stdin.close()
    assert process.wait(60) == 0


def test_the_one_that_is_kept_is_let_go_of_and_another_kept():
    command = [sys.executable, "-I", "-c", "input()"]
    client.release()
    first = client.kept(command)
    assert client.kept(command) is first
    client.release()
    assert not first.folder.exists()
    assert client.kept(command) is not first
    client.release()
